"""Pages: each a route, a typed context and a template of the same name."""

from fastapi import APIRouter

from sayso.web.pages import public, receipts, setting, start

routers: tuple[APIRouter, ...] = (start.router, setting.router, receipts.router, public.router)
