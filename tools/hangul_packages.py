"""Debian packages with typefaces for Hangul: version and licence of each."""

PACKAGES: dict[str, tuple[str, str]] = {
    "fonts-alee": ("13.3", "Artistic-1.0"),
    "fonts-baekmuk": ("2.2-13", "LicenseRef-Baekmuk"),
    "fonts-lexi-gulim": ("20090423-3", "GPL-2.0-or-later"),
    "fonts-lexi-saebom": ("20100129-3.1", "GPL-2.0-or-later"),
    "fonts-nanum": ("20200506-1", "OFL-1.1"),
    "fonts-nanum-eco": ("1.000-7", "OFL-1.1"),
    "fonts-nanum-extra": ("20200506-1", "OFL-1.1"),
    "fonts-naver-d2coding": ("1.3.2-2", "OFL-1.1"),
    "fonts-noto-cjk": ("1:20220127+repack1-1", "OFL-1.1"),
    "fonts-noto-cjk-extra": ("1:20220127+repack1-1", "OFL-1.1"),
    "fonts-unfonts-core": ("1:1.0.2-080608-18", "GPL-2.0-only"),
    "fonts-unfonts-extra": ("1:1.0.2-080608+dfsg-11", "GPL-2.0-only"),
    "fonts-woowa-bm": ("20211009-2", "OFL-1.1"),
}
