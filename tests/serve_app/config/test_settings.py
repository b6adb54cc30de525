"""The settings in force."""

from __future__ import annotations

from serve_app.config.settings import IngressSettings, LiveSettings


def test_new_settings_are_there_for_everybody_before_those_who_follow_are_told() -> None:
    settings, seen = LiveSettings(), list[float]()
    settings.follow(lambda: seen.append(settings.current.timeout_s))
    settings.follow(lambda: seen.append(settings.current.timeout_s))
    assert settings.current == IngressSettings()
    settings.replace(IngressSettings(timeout_s=5))
    assert settings.current.timeout_s == 5
    assert seen == [5, 5]
