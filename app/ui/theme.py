"""Alcove's own themes: one accent, quiet surfaces, dark and light."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="alcove",
    primary="#d9a05b",
    secondary="#8a93a3",
    accent="#d9a05b",
    warning="#d6b35a",
    error="#d9705f",
    success="#86b38a",
    foreground="#d8d5cf",
    background="#141518",
    surface="#1a1c20",
    panel="#22252a",
    dark=True,
    variables={
        "footer-key-foreground": "#d9a05b",
        "footer-background": "#141518",
        "footer-description-foreground": "#8a8f98",
        "border": "#3a3f47",
        "border-blurred": "#2a2e35",
        "scrollbar": "#2a2e35",
        "scrollbar-hover": "#3a3f47",
        "scrollbar-active": "#d9a05b",
        "scrollbar-background": "#141518",
        "scrollbar-corner-color": "#141518",
        "scrollbar-background-hover": "#141518",
        "scrollbar-background-active": "#141518",
        "input-cursor-background": "#d9a05b",
        "input-selection-background": "#d9a05b 30%",
    },
)

LIGHT = Theme(
    name="alcove-light",
    primary="#9a5b13",
    secondary="#5d6470",
    accent="#9a5b13",
    warning="#8a6500",
    error="#b03a2a",
    success="#2f7a3a",
    foreground="#24262a",
    background="#faf8f4",
    surface="#f3f0ea",
    panel="#e9e5dc",
    dark=False,
    variables={
        "footer-key-foreground": "#9a5b13",
        "footer-background": "#faf8f4",
        "footer-description-foreground": "#5d6470",
        "border": "#c9c3b6",
        "border-blurred": "#ddd8cc",
    },
)

THEMES = (DARK, LIGHT)
