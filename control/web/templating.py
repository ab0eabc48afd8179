"""What templates may use beside their own variables: brand, assets, icons, and values in words."""

from collections.abc import Mapping
from datetime import datetime

from flask import Blueprint, Flask, Response, abort, g, make_response, url_for
from markupsafe import Markup

from control.domain.text import printable
from control.fleet.instances import OutpostHealth
from control.web import filters
from control.web.assets import A_YEAR
from control.web.context import web
from control.web.lookups import address_of
from control.web.standing import Standing, tally

blueprint = Blueprint("brand", __name__, url_prefix="/-/brand")


@blueprint.get("/<digest>.css")
def colours(digest: str) -> Response:
    """The brand's colours; the address changes with them."""
    if digest != web().brand.digest():
        abort(404)
    response = make_response(web().brand.style_sheet())
    response.mimetype = "text/css"
    response.headers["Cache-Control"] = A_YEAR
    return response


def install(app: Flask) -> None:
    """Give the app's templates their globals and filters."""
    app.register_blueprint(blueprint)
    app.jinja_env.globals.update(asset=_asset, icon=_icon, brand_style_sheet=_brand_style_sheet)
    app.jinja_env.filters.update(ago=_ago, bytes=filters.size, duration=filters.duration, tally=_tally)
    app.jinja_env.filters.update(instant=filters.instant, one_line=printable, address=address_of)
    app.jinja_env.filters.update(fill=filters.fill, lasting=filters.lasting)
    app.context_processor(lambda: {"brand": web().brand, "version": web().settings.version})


def _asset(key: str) -> str:
    return web().assets.url(key)


def _icon(name: str, class_: str = "") -> Markup:
    return web().assets.icon(name, class_)


def _brand_style_sheet() -> str:
    return url_for("brand.colours", digest=web().brand.digest())


def _tally(health: OutpostHealth) -> Mapping[Standing, int]:
    return tally(health.instances)


def _ago(when: datetime) -> Markup:
    """In a part that is polled the moment itself: its answers differ only when something happened."""
    words = filters.absolute(when) if "absolute_times" in g else filters.relative(when, web().clock())
    return filters.time_element(when, words)
