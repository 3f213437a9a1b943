"""Generated YAML: plain blocks, no anchors, lists indented below their key, texts of several lines as they are."""

from __future__ import annotations

import yaml


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(type(None), lambda dumper, _: dumper.represent_scalar("tag:yaml.org,2002:null", ""))


def yaml_text(*documents: object) -> str:
    """The documents as YAML, in the order of their keys."""
    return yaml.dump_all(
        documents, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True, default_flow_style=False
    )
