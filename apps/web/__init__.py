"""The web pages: what this is, hand in a survey, see a batch, see a certificate."""

from apps.web.app import create_app

__all__ = ["create_app"]
