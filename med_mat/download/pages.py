"""What a place is called, where its page is, and what it asks for; asks no server."""

from __future__ import annotations

from med_mat.card import Place

NEEDS = {
    "kaggle": "Kaggle API token (KAGGLE_API_TOKEN)",
    "kaggle_competition": "Kaggle API token (KAGGLE_API_TOKEN) and joining the competition",
    "manual": "by hand",
    "physionet": "PhysioNet account with a signed agreement (PHYSIONET_USERNAME, PHYSIONET_PASSWORD)",
}
SHORT_NEEDS = {
    "kaggle": "Kaggle token",
    "kaggle_competition": "Kaggle token, rules",
    "physionet": "PhysioNet account",
}
_PAGES = {
    "dataverse": "https://doi.org/{id}",
    "figshare": "https://doi.org/10.6084/m9.figshare.{id}",
    "github": "https://github.com/{id}",
    "github_release": "https://github.com/{owner}/releases/tag/{tag}",
    "huggingface": "https://huggingface.co/datasets/{id}",
    "kaggle": "https://www.kaggle.com/datasets/{id}",
    "kaggle_competition": "https://www.kaggle.com/competitions/{id}",
    "mendeley": "https://data.mendeley.com/datasets/{id}",
    "physionet": "https://physionet.org/content/{id}/",
    "zenodo": "https://zenodo.org/records/{id}",
}


def needs(place: Place) -> str | None:
    """Which credentials a place asks for; None if it asks for none."""
    return NEEDS.get(place.platform)


def address(place: Place) -> str:
    """Page of a place, for people."""
    if place.url:
        return place.url
    if place.platform == "url":
        return str(place.files[0].url)
    owner, _, tag = (place.id or "").partition("@")
    return _PAGES[place.platform].format(id=place.id, owner=owner, tag=tag)


def is_automatic(place: Place) -> bool:
    """Whether a program may fetch it."""
    return place.platform != "manual"


def place_key(place: Place) -> str:
    """A name for a place that no other place of a card has."""
    return f"{place.platform}:{place.id or place.url or place.files[0].url}"
