# SPDX-License-Identifier: Apache-2.0
"""The context manager that recorders and workloads are."""
import contextlib
import shutil


def needs(program):
    return None if shutil.which(program) else f"{program} is not installed"


class Undone:
    """Its start() puts onto self.stack what is to be undone, also when it fails midway."""

    programs = ()  # that must be installed

    def __init__(self):
        self.stack = contextlib.ExitStack()

    @classmethod
    def why_not(cls):
        """Why it cannot run here; None: it can."""
        return next(filter(None, map(needs, cls.programs)), None)

    def start(self):
        pass

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_):
        self.stack.close()
