"""A distiller in a loop of one's own, which goes on exactly where it was stopped.

python examples/interop/plain_loop.py
"""

from pathlib import Path

import task
import torch

import kdkit as kd
from kdkit.files import write_atomically
from kdkit.training import LearningRate, capture_random_state, restore_random_state

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def fit(distiller: kd.Distiller, out: Path, save_every: int = 10, device: str = DEVICE) -> None:
    distiller.to(device)  # the student, and the active stage's teachers
    student, curriculum, batches = distiller.student, distiller.curriculum, task.loader(train=True)
    curriculum.steps_per_epoch = len(batches)  # so that schedules move inside the first epoch, too
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-2)
    rate = LearningRate(optimizer)
    torch.manual_seed(0)
    parts = {"student": student, "optimizer": optimizer, "distiller": distiller}
    if (out / "last.pt").exists():
        saved = torch.load(out / "last.pt", map_location="cpu")
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        restore_random_state(saved["random"])
    while not curriculum.finished:
        epoch, done = divmod(curriculum.steps, len(batches))
        batches.sampler.set_epoch(epoch)
        batches.sampler.skip(done * batches.batch_size)
        student.train()
        for batch in batches:
            rate.apply(curriculum)
            step = distiller(task.on(device, batch))
            step.total.backward()
            optimizer.step()
            optimizer.zero_grad()
            entered = distiller.advance()
            # The last step's checkpoint must know that the epoch has ended.
            if curriculum.steps % len(batches) == 0 and not curriculum.finished:
                entered = distiller.end_epoch(task.evaluate(student.module)) or entered
            if entered is not None and entered.optimizer == "fresh":
                optimizer.state.clear()
            if curriculum.steps % save_every == 0 or curriculum.finished:
                state = {name: part.state_dict() for name, part in parts.items()}
                state["random"] = capture_random_state()
                write_atomically(out / "last.pt", lambda file, state=state: torch.save(state, file))
            if curriculum.finished:
                break
    torch.save(student.module.state_dict(), out / "student.pth")


if __name__ == "__main__":
    distiller, out = task.start("runs/interop/plain_loop")
    fit(distiller, out)
    print(f"{distiller.curriculum.steps} steps, {task.evaluate(distiller.student.module)}")
