"""Pages: each a route, a typed context and a template of the same name."""

from fastapi import APIRouter

from sayso.web.pages import (
    assistant,
    console,
    objection,
    public,
    receipts,
    records,
    setting,
    start,
)

routers: tuple[APIRouter, ...] = (
    start.router,
    setting.router,
    receipts.router,
    records.router,
    objection.router,
    assistant.router,
    console.router,
    public.router,
)
