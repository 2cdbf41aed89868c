"""Evidence: what a stranger can check without us, and how.

Promises: a pack holds the evidence for one question and is verified offline; the verifier
needs Python, `cryptography` and the pure parts of `log` and `attest`, and nothing else of
ours. Does not decide, and does not say that a rule is lawful.
"""
