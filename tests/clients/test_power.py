"""The power is cut: what was not synchronised is gone, what was acknowledged is not.

A library that is preloaded (`tests/power/shadow.c`) keeps what each file of the data directory held
when it was synchronised last, under the names its directory had when that was. The broker is killed
under load, its directory replaced by that, and the checker of the crash rounds looks at what comes
back. That it would notice is shown by the same test on a disk that lies.
"""

import asyncio
import os
import shutil
import subprocess

import pytest

from conftest import ACCOUNT, ROOT, Platform
from test_crash import SEED, Rounds

SOURCE = ROOT / "tests/power/shadow.c"
ROUNDS = int(os.environ.get("PALISADE_TEST_POWER_ROUNDS", "3"))


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    built = tmp_path_factory.mktemp("power") / "shadow.so"
    subprocess.run(["cc", "-Wall", "-O1", "-shared", "-fPIC", "-o", built, SOURCE],
                   check=True)
    return built


class Shadow:
    """What a power cut leaves of one data directory."""

    def __init__(self, library, place, data_dir):
        self.place, self.data_dir = place, data_dir
        for name in ("data", "names"):
            (place / name).mkdir(parents=True)
        self.environment = {"LD_PRELOAD": str(library), "POWER_DIRECTORY": str(data_dir),
                            "POWER_SHADOW": str(place)}

    def lie(self):
        (self.place / "lies").touch()

    def cut(self):
        """Makes the directory what the disk has of it."""
        kept = {}
        for line in (self.place / "names/root").read_text().splitlines():
            key, name = line.split("\t")
            content = self.place / "data" / key
            kept[name] = content.read_bytes() if content.exists() else b""
        for old in (self.data_dir, self.place / "data", self.place / "names"):
            shutil.rmtree(old)
            old.mkdir(0o700)
        for name, content in kept.items():
            file = self.data_dir / name
            file.touch(0o600)
            file.write_bytes(content)
        # What came back from the disk is on it.
        subprocess.run(["sync", *self.data_dir.iterdir(), self.data_dir], check=True,
                       env=self.environment)


class PowerCuts(Rounds):
    """Rounds that end with the power."""

    def __init__(self, shadow, *arguments):
        super().__init__(*arguments)
        self.shadow = shadow

    def end(self, number):
        self.platform.kill()
        self.shadow.cut()


@pytest.fixture
def shadowed(library, tmp_path, new_device):
    """Makes rounds on a disk of which the shadow is kept."""
    platforms = []

    def new():
        shadow = Shadow(library, tmp_path / "shadow", tmp_path / "data")
        platform = Platform(shadow.data_dir, f"--account-id={ACCOUNT}",
                            environment=shadow.environment)
        platforms.append(platform.start())
        return PowerCuts(shadow, platform, new_device, SEED)

    yield new
    for platform in platforms:
        platform.kill()


def test_nothing_acknowledged_is_lost_with_the_power(shadowed):
    asyncio.run(shadowed().play(ROUNDS))


def test_the_checker_notices_a_disk_that_lies(shadowed):
    class Lies(PowerCuts):
        async def round(self, number):
            if number == 1:
                self.shadow.lie()
                self.fleet.patience_s = 3
            await super().round(number)

    rounds = shadowed()
    rounds.__class__ = Lies
    with pytest.raises(AssertionError, match="round 1: .*exact"):
        asyncio.run(rounds.play(2))
