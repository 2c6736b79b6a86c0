"""Says after a run on SLURM what its jobs asked for and what they used: time, cores, memory, GPU hours; by sacct."""

import argparse

from mindgauge import efficiency
from mindgauge.step import exit_on_user_error

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="the jobs of all runs in this clone, not of the last alone")
    arguments = parser.parse_args()
    with exit_on_user_error():
        print(efficiency.table(efficiency.look(arguments.all)))
