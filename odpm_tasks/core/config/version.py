"""The version of this odpm."""

VERSION = "5.0.0"
