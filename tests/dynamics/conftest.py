"""The same random numbers in every run, also those drawn while the tests are collected."""

import pytest
import torch

torch.manual_seed(0)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)
