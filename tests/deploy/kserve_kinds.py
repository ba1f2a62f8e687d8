"""Checks manifests by the classes of the kserve wheel, which are generated from its OpenAPI document,
without importing kserve itself: that would start with its server and thirty packages."""
import importlib
import re
import sys
import types

from wheels import unpacked_wheel

PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float)}


def classes():
    """The module loader of kserve.models; its packages' own __init__ are left out."""
    root = unpacked_wheel("kserve") / "kserve"
    for name, folder in (("kserve", root), ("kserve.models", root / "models")):
        if name not in sys.modules:
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].__path__ = [str(folder)]


def find(kind):
    """V1beta1ModelSpec of kserve/models/v1beta1_model_spec.py; None for Kubernetes' own, which are not in the wheel."""
    if not re.match(r"V\d(alpha|beta)\d", kind):
        return None
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", kind).lower()
    return getattr(importlib.import_module(f"kserve.models.{words}"), kind)


def check(value, kind, where=""):
    """`value` is a `kind`: no key that the class does not know, no value of another type."""
    classes()
    listed = re.fullmatch(r"list\[(.*)\]|dict\(str, (.*)\)", kind)
    if listed:
        assert isinstance(value, list if listed[1] else dict), f"{where} is no {kind}"
        for key, one in enumerate(value) if listed[1] else value.items():
            check(one, listed[1] or listed[2], f"{where}.{key}")
    elif kind in PLAIN:
        assert isinstance(value, PLAIN[kind]) and (kind == "bool" or not isinstance(value, bool)), f"{where} is no {kind}"
    elif find(kind):
        types_by_key = {find(kind).attribute_map[name]: one for name, one in find(kind).openapi_types.items()}
        assert isinstance(value, dict), f"{where} is no {kind}"
        assert value.keys() <= types_by_key.keys(), f"{where}: {sorted(value.keys() - types_by_key.keys())}"
        for key, one in value.items():
            check(one, types_by_key[key], f"{where}.{key}")
