"""The tiny run, finished once a session, and fresh checkouts."""

import pytest
from tiny_workflow import Workflow, copy_workflow


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workflow:
    """The tiny run, finished once; tests that change it leave it finished."""
    workflow = copy_workflow(tmp_path_factory.mktemp("workflow"))
    workflow.run()
    return workflow


@pytest.fixture
def fresh(tmp_path) -> Workflow:
    """A checkout in which nothing has run."""
    return copy_workflow(tmp_path)
