from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "engage.console"
