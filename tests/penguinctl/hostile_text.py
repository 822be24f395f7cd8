"""Text that attacks terminals, put into every field of an answer."""

import json

# Escape sequences (colour, title, cursor), C0, DEL, C1, bidi and zero-width characters, newlines.
TEXT = (
    "\x1b[31mred\x1b]0;title\x07\x1b[2J\r\n\x00\x08\x0b\x7f\x85\x9b31m\x9dx\x9c"
    "\u202egnp.exe\u202c\u2066x\u2069\u200b\u200f\ufeff\u00ad\u2028\u2029\U000e0041"
)


def _walk(value):
    if isinstance(value, dict):
        return {key + TEXT: _walk(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_walk(item) for item in value]
    return value + TEXT if isinstance(value, str) else value


def _poisoned_bytes(name, value):
    if "hash" in name or name in ("token_id", "secret", "certificate", "payload", "signatures"):
        return value
    try:
        return json.dumps(_walk(json.loads(value)), ensure_ascii=False).encode()
    except ValueError:
        return value + TEXT.encode()


def poison(message, spared=()):
    """Add TEXT to every string, and to every string inside JSON, except in spared fields."""
    for field, value in message.ListFields():
        _poison_field(message, field, value, spared)
    for field in message.DESCRIPTOR.fields:
        plain = field.type == field.TYPE_STRING and not isinstance(
            getattr(message, field.name), str
        )
        if plain and field.name not in spared and len(getattr(message, field.name)) == 0:
            getattr(message, field.name).append(TEXT)


def _poison_field(message, field, value, spared):
    if field.name in spared:
        return
    if field.type == field.TYPE_MESSAGE:
        _poison_messages(field, value, spared)
    elif field.type == field.TYPE_STRING and not isinstance(value, str):
        value[:] = [item + TEXT for item in value]
    elif field.type == field.TYPE_STRING:
        setattr(message, field.name, value + TEXT)
    elif field.type == field.TYPE_BYTES and isinstance(value, bytes):
        setattr(message, field.name, _poisoned_bytes(field.name, value))


def _poison_messages(field, value, spared):
    if field.message_type.GetOptions().map_entry:
        for key in list(value):
            value[key + TEXT] = value[key]
        return
    for item in [value] if hasattr(value, "ListFields") else value:
        poison(item, spared)
