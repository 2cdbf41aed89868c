"""The service: pages for members and the public, and an API for jobs.

Promises: asks the rooms below and decides nothing itself; every route says who may use it and
one that does not say so is used by nobody; complete without scripts; no member's words and no
secret in a log. Clock and randomness enter here and at `cli`.

    app.py         puts it together
    access.py      roles, scopes, and who may use which route
    guards.py      headers, sizes, slow clients, hosts
    sealed.py      what the service itself keeps, unreadable without its owner's secret
    sessions.py    who is signed in, and the token of each form
    signing_in.py  OpenID Connect
    desk.py        what a worker has in hand
    rendering.py   templates, languages
    problems.py    errors as RFC 9457, and as pages
    pages/         one module for each group of pages, each page with a typed context
    api/           version 1
"""
