"""A one-node Slurm of its own on this machine: all its files in one folder, on ports that are free.

Runs as root, beside any other Slurm. By hand: `python tests/slurm/one_node.py FOLDER` starts one,
says what to export so that commands find it, and stops it at Ctrl-C.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "mungekey", "slurmctld", "slurmd", "sbatch", "srun", "scancel")

# `OverMemoryKill` stands for the cgroups of a real cluster; the GPUs are files that no job opens.
SLURM_CONF = """\
ClusterName=onenode
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,bf_interval=5
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
KillWait=30
MinJobAge=86400
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:2
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return chosen.getsockname()[1]


def missing_programs() -> list[str]:
    return [name for name in PROGRAMS if shutil.which(name, path=search_path()) is None]


def search_path() -> str:
    """PATH with the folders of daemons, which not every shell has."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def write_files(folder: Path) -> None:
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    conf = SLURM_CONF.format(
        folder=folder,
        host=socket.gethostname().split(".")[0],
        controller_port=free_port(),
        node_port=free_port(),
        cpus=os.cpu_count(),
        memory=pages * page // 2**20,
    )
    (folder / "slurm.conf").write_text(conf)
    (folder / "gres.conf").write_text("Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n")
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir()
    # The plugin takes SLURM_CONF from the environment of the srun that it starts in a job.
    srun = folder / "bin/srun"
    call = f'SLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"'
    srun.write_text(f"#!/bin/sh\n{call}\n")
    srun.chmod(0o755)


def start(folder: Path, environment: dict[str, str]) -> list[subprocess.Popen]:
    """The three daemons, in the foreground of this process, so that they are its to stop."""
    socket_path = folder / "munge.socket"
    key = folder / "munge.key"
    subprocess.run(["mungekey", "--create", f"--keyfile={key}"], check=True, env=environment)
    munged = ["munged", "--foreground", "--force", f"--socket={socket_path}", f"--key-file={key}"]
    munged += [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "log", "seed")]
    daemons = []
    for command in (munged, ["slurmctld", "-D"], ["slurmd", "-D"]):
        with (folder / f"{command[0]}.out").open("w") as out:
            daemons.append(subprocess.Popen(command, env=environment, stdout=out, stderr=out))
        # Slurm's daemons give up at once where munge does not answer yet.
        wait_for(socket_path.exists, f"{folder} has no socket of munged")
    return daemons


def wait_for(ready, problem: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise RuntimeError(f"{problem} after {seconds:.0f} s; the folder's log files say why")
        time.sleep(0.2)


def stop(daemons: list[subprocess.Popen]) -> None:
    for daemon in reversed(daemons):
        daemon.terminate()
    for daemon in daemons:
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


@contextmanager
def one_node_slurm(folder: Path) -> Iterator[dict[str, str]]:
    """A running Slurm; yields the environment in which its commands and the plugin find it.

    Raises RuntimeError where it does not come up within half a minute. Jobs still there at the end
    are cancelled.
    """
    folder.chmod(0o755)  # munged refuses a socket that others cannot reach
    write_files(folder)
    environment = {
        **os.environ,
        "PATH": f"{folder}/bin{os.pathsep}{search_path()}",
        "SLURM_CONF": str(folder / "slurm.conf"),
    }

    def output(*command: str) -> str:
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        return done.stdout

    daemons = start(folder, environment)
    try:
        wait_for(lambda: "idle" in output("sinfo", "-h", "-o", "%T"), f"{folder}: no idle node")
        yield environment
    finally:
        output("scancel", "--full", "--user", str(os.getuid()))
        try:
            wait_for(lambda: not output("squeue", "-h"), "jobs are still there")
        finally:
            stop(daemons)


if __name__ == "__main__":
    place = Path(sys.argv[1]).resolve()
    place.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with one_node_slurm(place) as found:
        print(f"export SLURM_CONF={found['SLURM_CONF']} PATH={place}/bin:$PATH", flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()
