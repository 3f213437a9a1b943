"""odoo-test: run Odoo with tests and report each of them; started in place of odoo-bin by `inv test`.

The variable ODPM_TEST has the settings as JSON: `program` (the path of odoo-bin), `database`, `timeout` (seconds that a test
may take; 0: any), `filestore` (the folder of all filestores), `template` (the database whose filestore is copied), `remove`
(patterns of filestores to remove), `keep` (names that are not removed), `keep_own`, `tools` (a folder of packages), `coverage`
(`data`, `source`, `omit`).

Each event is a line on standard error: `MARK` and a JSON object without the character @. Times are in seconds of one clock.
Standard library only, Python 3.7 and later; results of unittest and those of Odoo's own class (16.0 and later) are observed.
"""

import faulthandler
import fnmatch
import importlib.util
import inspect
import json
import os
import runpy
import shutil
import signal
import sys
import threading
import time
import traceback
import unittest
from pathlib import Path

MARK = "@odpm-test "
GRACE = 15  # seconds that a test has to end after its time limit
HUNG = 70  # exit code


class TimeLimit(Exception):
    """A test takes longer than the limit."""


class Observer:
    """Reports what happens to the tests of one process. Results of tests that run inside of a test are ignored."""

    def __init__(self, timeout):
        self.timeout = timeout
        self.test, self.result, self.depth = None, None, 0
        self.deadline = None
        self.save = lambda: None

    def emit(self, kind, **values):
        text = json.dumps({"kind": kind, "time": round(time.monotonic(), 3), **values})
        sys.stderr.write(MARK + text.replace("@", "\\u0040") + "\n")
        sys.stderr.flush()

    # --- time limit ---

    def arm(self):
        if self.timeout:
            self.deadline = time.monotonic() + self.timeout + GRACE
            signal.setitimer(signal.ITIMER_REAL, self.timeout)

    def disarm(self):
        self.deadline = None
        if self.timeout:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def watch(self):
        """Enforce the limit: an exception in the test; after that, for code that no signal interrupts, the end of the process."""
        if not self.timeout:
            return

        def expire(number, frame):
            raise TimeLimit("the test did not end within %g seconds (--timeout)" % self.timeout)

        signal.signal(signal.SIGALRM, expire)
        main = threading.main_thread().ident

        def check():
            while True:
                time.sleep(1)
                if self.deadline and time.monotonic() > self.deadline:
                    self.emit(
                        "hung",
                        id=identifier(self.test),
                        text="".join(traceback.format_stack(sys._current_frames()[main])),
                        limit=self.timeout,
                    )
                    faulthandler.dump_traceback(all_threads=True)
                    self.save()
                    os._exit(HUNG)

        threading.Thread(target=check, daemon=True, name="odpm-test").start()

    # --- results ---

    def foreign(self, result):
        return self.result is not None and result is not self.result

    def started(self, result, test):
        if self.foreign(result):
            return
        self.test, self.result = test, result
        self.arm()
        self.emit("start", id=identifier(test), **place(test))

    def stopped(self, result, test):
        if self.foreign(result):
            return
        self.emit("stop", id=identifier(test))
        self.test, self.result = None, None
        self.arm()

    def failed(self, result, test, error, kind):
        if self.foreign(result) or getattr(result, "_soft_fail", False):
            return
        self.emit(
            kind,
            id=identifier(test),
            subtest=description(test),
            text=result._exc_info_to_string(error, test),
            exception=error[0].__name__,
            message=str(error[1]),
            **place(test),
        )

    def skipped(self, result, test, reason):
        if not self.foreign(result):
            self.emit("skip", id=identifier(test), reason=str(reason), **place(test))

    def observe(self, result_class):
        """Wrap the methods of a class of results."""

        def wrap(name, report):
            original = getattr(result_class, name, None)
            if original is None:
                return

            def wrapper(self_, *arguments):
                report(self_, *arguments)
                return original(self_, *arguments)

            setattr(result_class, name, wrapper)

        def stop(result, test):
            self.stopped(result, test)

        wrap("startTest", self.started)
        wrap("stopTest", stop)
        wrap("addError", lambda result, test, error: self.failed(result, test, error, "error"))
        wrap("addFailure", lambda result, test, error: self.failed(result, test, error, "failure"))
        wrap("addSkip", self.skipped)
        wrap("addExpectedFailure", lambda result, test, error: None)
        wrap(
            "addUnexpectedSuccess",
            lambda result, test: self.emit(
                "failure",
                id=identifier(test),
                subtest="",
                text="unexpected success\n",
                exception="AssertionError",
                message="unexpected success",
                **place(test),
            ),
        )
        if issubclass(result_class, unittest.TestResult):  # the class of Odoo calls addError and addFailure

            def subtest(result, test, part, error):
                if error is not None:
                    kind = "failure" if issubclass(error[0], test.failureException) else "error"
                    self.failed(result, part, error, kind)

            wrap("addSubTest", subtest)

    def observe_suites(self):
        """Report begin and end of a suite: between both, time counts for the tests."""
        call = unittest.BaseTestSuite.__call__

        def wrapper(suite, *arguments, **options):
            outer = self.depth == 0 and self.result is None
            self.depth += 1
            if outer:
                self.emit("suite")
                self.arm()
            try:
                return call(suite, *arguments, **options)
            finally:
                self.depth -= 1
                if outer:
                    self.disarm()
                    self.emit("suite end")

        unittest.BaseTestSuite.__call__ = wrapper


def whole(test):
    """The test that a subtest belongs to."""
    while getattr(test, "test_case", None) is not None:
        test = test.test_case
    return test


def identifier(test):
    return "" if test is None else whole(test).id()


def description(test):
    return test._subDescription() if whole(test) is not test and hasattr(test, "_subDescription") else ""


def place(test):
    """File and line of a test."""
    test = whole(test)
    try:
        method = inspect.unwrap(getattr(test, getattr(test, "_testMethodName", ""), None))
        return {"file": inspect.getsourcefile(method), "line": method.__code__.co_firstlineno}
    except (TypeError, AttributeError, ValueError):
        return {}


class Finder:
    """Observes Odoo's class of results as soon as Odoo imports its module."""

    def __init__(self, observer):
        self.observer = observer

    def find_spec(self, name, path=None, target=None):
        if name not in ("odoo.tests.result", "odoo.tests.runner"):
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        if spec is not None:
            load = spec.loader.exec_module

            def exec_module(module):
                load(module)
                found = getattr(module, "OdooTestResult", None)
                if found is not None and not issubclass(found, unittest.TestResult):
                    self.observer.observe(found)

            spec.loader.exec_module = exec_module
        return spec


def copy_filestore(settings):
    """Hard links of the template's files: files of a filestore never change."""
    root = Path(settings["filestore"])
    if not root.is_dir():
        return
    for folder in root.iterdir():
        if folder.name not in settings["keep"] and any(fnmatch.fnmatchcase(folder.name, p) for p in settings["remove"]):
            shutil.rmtree(str(folder), ignore_errors=True)
    shutil.rmtree(str(root / settings["database"]), ignore_errors=True)  # left by a killed run
    if settings["template"] and (root / settings["template"]).is_dir():
        shutil.copytree(str(root / settings["template"]), str(root / settings["database"]), copy_function=os.link)


def start_coverage(settings):
    import coverage  # of the folder of tools

    measured = coverage.Coverage(
        data_file=settings["data"], source=settings["source"], omit=settings["omit"], config_file=False
    )
    measured.start()

    def save():
        measured.stop()
        measured.save()

    return save


def main():
    settings = json.loads(os.environ.pop("ODPM_TEST"))
    program = settings["program"]
    os.environ["ODOO_BIN"] = program
    if settings["tools"]:
        sys.path.append(settings["tools"])
    copy_filestore(settings)
    observer = Observer(settings["timeout"])
    if settings["coverage"]:
        observer.save = start_coverage(settings["coverage"])
    observer.observe(unittest.TestResult)
    observer.observe_suites()
    sys.meta_path.insert(0, Finder(observer))
    observer.watch()
    sys.argv[0] = program
    sys.path[0] = str(Path(program).parent)
    try:
        runpy.run_path(program, run_name="__main__")
    finally:
        observer.disarm()
        observer.save()
        if not settings["keep_own"]:
            shutil.rmtree(str(Path(settings["filestore"], settings["database"])), ignore_errors=True)


if __name__ == "__main__":
    main()
