"""Rulebook: purposes, rules, holds and groups as reviewed text, and what is in force.

Promises: text in, typed rulebook out, every fault named with file and line. Does not look
at members or records.
"""

from sayso.rulebook.in_force import InForce, in_force

__all__ = ["InForce", "in_force"]
