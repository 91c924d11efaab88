"""The JSON schemas of our types, each shape told once under a name of its own."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import inspect as kinds

from callmatrix.core.documents import to_plain
from callmatrix.core.money import schema_hook

MAX_SHAPES: Final = 2_000
_REF: Final = "#/components/schemas/"
_BOUNDS: Final = (
    ("ge", "minimum"),
    ("gt", "exclusiveMinimum"),
    ("le", "maximum"),
    ("lt", "exclusiveMaximum"),
    ("multiple_of", "multipleOf"),
)

Schema = dict[str, Any]


def schemas_of(types: Iterable[Any]) -> tuple[dict[str, Schema], dict[str, Schema]]:
    """The schema of each type by its `repr`, and the shapes that they refer to by name."""
    wanted = list(types)
    infos = kinds.multi_type_info(wanted)
    shapes: dict[Any, kinds.StructType] = {}
    for info in infos:
        _collect(info, shapes)
    names = _names(shapes)
    schemas = {repr(kind): _schema(info, names) for kind, info in zip(wanted, infos, strict=True)}
    return schemas, {names[cls]: _shape(shape, names) for cls, shape in shapes.items()}


def _collect(info: Any, shapes: dict[Any, kinds.StructType]) -> None:
    """Every Struct that a type is made of."""
    waiting = [info]
    while waiting and len(shapes) < MAX_SHAPES:
        match waiting.pop():
            case kinds.StructType() as shape:
                if shape.cls not in shapes:
                    shapes[shape.cls] = shape
                    waiting += [field.type for field in shape.fields]
            case kinds.Metadata(type=inner):
                waiting.append(inner)
            case kinds.DictType() as mapping:
                waiting += [mapping.key_type, mapping.value_type]
            case kinds.TupleType(item_types=items) | kinds.UnionType(types=items):
                waiting += items
            case kinds.CollectionType(item_type=inner):
                waiting.append(inner)
            case _:
                pass


def _names(shapes: Iterable[Any]) -> dict[Any, str]:
    """A name for each shape; where two are called alike, their modules tell them apart."""
    by_name: dict[str, list[Any]] = {}
    for cls in shapes:
        by_name.setdefault(_name(cls), []).append(cls)
    names: dict[Any, str] = {}
    for name, alike in by_name.items():
        for cls in alike:
            module = (
                str(getattr(cls, "__origin__", cls).__module__).rpartition(".")[2].title().replace("_", "")
            )
            names[cls] = name if len(alike) == 1 else f"{module}{name}"
    return names


def _name(cls: Any) -> str:
    """`Page[Record[BuyerBody]]` is `BuyerBodyRecordPage`."""
    origin = getattr(cls, "__origin__", None)
    if origin is None:
        return str(cls.__name__)
    return "".join(_name(one) for one in cls.__args__) + str(origin.__name__)


def _shape(shape: kinds.StructType, names: dict[Any, str]) -> Schema:
    properties: Schema = {}
    required: list[str] = []
    if shape.tag_field is not None:
        properties[shape.tag_field] = {"enum": [shape.tag]}
        required.append(shape.tag_field)
    for field in shape.fields:
        schema = _schema(field.type, names)
        if field.required:
            required.append(field.encode_name)
        elif field.default is not msgspec.NODEFAULT:
            schema = {**schema, "default": to_plain(field.default)}
        elif field.default_factory in (list, dict):
            schema = {**schema, "default": field.default_factory()}
        properties[field.encode_name] = schema
    described: Schema = {"title": names[shape.cls], "type": "object", "properties": properties}
    told = (getattr(shape.cls, "__origin__", shape.cls).__doc__ or "").strip()
    if told:
        described["description"] = " ".join(told.split())
    if required:
        described["required"] = required
    if shape.forbid_unknown_fields:
        described["additionalProperties"] = False
    if getattr(shape.cls, "__origin__", shape.cls).__struct_config__.omit_defaults:
        described["x-omits-defaults"] = True  # what has its default is left out of answers
    return described


def _schema(info: Any, names: dict[Any, str]) -> Schema:
    match info:
        case kinds.AnyType():
            return {}
        case kinds.NoneType():
            return {"type": "null"}
        case kinds.BoolType():
            return {"type": "boolean"}
        case kinds.IntType() | kinds.FloatType():
            kind = "integer" if isinstance(info, kinds.IntType) else "number"
            return {"type": kind} | _given(info, _BOUNDS)
        case kinds.StrType():
            bounds = (("min_length", "minLength"), ("max_length", "maxLength"), ("pattern", "pattern"))
            return {"type": "string"} | _given(info, bounds)
        case kinds.DateTimeType():
            return {"type": "string", "format": "date-time"}
        case kinds.DateType():
            return {"type": "string", "format": "date"}
        case kinds.LiteralType(values=values):
            return {"enum": list(values)}
        case kinds.StructType(cls=cls):
            return {"$ref": f"{_REF}{names[cls]}"}
        case kinds.CustomType(cls=cls):
            return schema_hook(cls)
        case kinds.Metadata(type=inner, extra_json_schema=extra):
            return _schema(inner, names) | (extra or {})
        case kinds.UnionType():
            return _union(info, names)
        case _:
            return _container(info, names)


def _container(info: Any, names: dict[Any, str]) -> Schema:
    match info:
        case kinds.DictType():
            bounds = (("min_length", "minProperties"), ("max_length", "maxProperties"))
            schema: Schema = {"type": "object", "additionalProperties": _schema(info.value_type, names)}
            keys = _schema(info.key_type, names)
            if keys != {"type": "string"}:
                schema["propertyNames"] = keys
            return schema | _given(info, bounds)
        case kinds.TupleType(item_types=items):
            each = [_schema(one, names) for one in items]
            return {"type": "array", "prefixItems": each, "minItems": len(each), "maxItems": len(each)}
        case kinds.CollectionType(item_type=inner):
            bounds = (("min_length", "minItems"), ("max_length", "maxItems"))
            return {"type": "array", "items": _schema(inner, names)} | _given(info, bounds)
        case _:
            raise NotImplementedError(f"{type(info).__name__} has no schema")


def _union(info: kinds.UnionType, names: dict[Any, str]) -> Schema:
    schema: Schema = {"anyOf": [_schema(one, names) for one in info.types]}
    tagged = [one for one in info.types if isinstance(one, kinds.StructType)]
    if len(tagged) == len(info.types):
        mapping = {str(one.tag): f"{_REF}{names[one.cls]}" for one in tagged}
        schema["discriminator"] = {"propertyName": tagged[0].tag_field, "mapping": mapping}
    return schema


def _given(info: Any, bounds: Iterable[tuple[str, str]]) -> Schema:
    return {told: getattr(info, name) for name, told in bounds if getattr(info, name) is not None}
