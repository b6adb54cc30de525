"""What pyproject.toml cannot say: `configs/` is installed as a folder of the package `deployments`."""

from setuptools import find_packages, setup

CONFIGS = "deployments.configs"

setup(
    packages=[*find_packages(include=["serve_app*", "deployments*"]), CONFIGS],
    package_dir={CONFIGS: "configs"},
)
