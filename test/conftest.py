"""What all tests share: the summary ends with what this machine has not been able to test."""

import os

import pytest
from machine import VARIABLE, machine


def pytest_configure() -> None:
    machine()  # before pytest-xdist starts processes, which then find it in the environment


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ.pop(VARIABLE, None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left_out = machine().left_out()
    if left_out:
        terminalreporter.section("not tested on this machine")
        for line in left_out:
            terminalreporter.line(line)
