"""No text of pydantic's shows a wrong value, which may be a secret: of any model, settings or adapter of ours."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import SecretStr, ValidationError

from swapjobs import CoreSettings, SwapRequest
from swapjobs.settings import GatewaySettings, WorkerSettings

TARGET = "https://ex.example/b.jpg"
# In a process of its own: what Celery's modules do as they are imported is not for the other tests.
ALL = """
import importlib, pkgutil, sys
from pydantic import BaseModel, TypeAdapter, ValidationError

import swapjobs, swapsandbox, swapworker

def below(kind):
    return {kind}.union(*map(below, kind.__subclasses__()))

for package in (swapjobs, swapsandbox, swapworker):
    for entry in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not entry.name.endswith("__main__"):
            importlib.import_module(entry.name)
checks = {
    f"{kind.__module__}.{kind.__qualname__}": kind.model_validate
    for kind in below(BaseModel) if kind.__module__.startswith("swap")
}
held = [(name, module) for name, module in sys.modules.items() if name.startswith("swap")]
for module_name, module in held:
    for name, value in vars(module).items():
        if isinstance(value, TypeAdapter):
            checks[f"{module_name}.{name}"] = value.validate_python
class Geheim:
    pass
for name, check in checks.items():
    try:
        check(Geheim())
    except ValidationError as error:
        print(name, "shows it" if "Geheim" in str(error) else "hides it")
    else:
        print(name, "takes anything")
"""


def test_every_model_hides_what_it_was_given() -> None:
    done = subprocess.run([sys.executable, "-c", ALL], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.splitlines()
    assert len(shown) > 60
    assert [line for line in shown if not line.endswith("hides it")] == []


@pytest.mark.parametrize(
    "given",
    [
        {"redis_url": "redis://:geheim@h:port/0"},
        {"webhook_master_secret": "geheim"},
        {"webhook_master_secret": SecretStr("geheim")},
    ],
)
@pytest.mark.parametrize("kind", [CoreSettings, GatewaySettings, WorkerSettings])
def test_settings_hide_a_wrong_value(kind: type[CoreSettings], given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="1 validation error") as refused:
        kind(**given)  # type: ignore[arg-type]
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://u:geheim@ex.example/a.jpg",
        "s3://bucket/a.jpg?X-Amz-Signature=geheim",
        "https://?X-Amz-Signature=geheim",
    ],
)
def test_a_request_hides_a_wrong_url(url: str) -> None:
    for given in ({"source_url": url, "target_url": TARGET}, {"source_url": TARGET, "target_url": url}):
        with pytest.raises(ValidationError) as refused:
            SwapRequest.model_validate(given)
        assert "geheim" not in str(refused.value)
        assert "geheim" not in repr(refused.value)
