"""A crash at a chosen batch."""


class Interrupted(Exception):
    """Stands for a crash."""


class Fragile:
    """A loader that crashes when a given number of batches was read from it."""

    def __init__(self, loader, crash_at: int) -> None:
        self.loader, self.left, self.sampler = loader, crash_at, loader.sampler

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        for batch in self.loader:
            if self.left == 0:
                raise Interrupted
            self.left -= 1
            yield batch
