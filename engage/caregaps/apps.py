from django.apps import AppConfig


class CareGapsConfig(AppConfig):
    name = "engage.caregaps"
