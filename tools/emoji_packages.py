"""Icon sets of emoji: version of each package, and SHA-256 of the files that are read from it."""

# Of icons.json, chars.json and info.json, one after the other.
PACKAGES: dict[str, tuple[str, str]] = {
    "emojione": ("1.2.3", "8d0092b44a3f4c6f8b0a655795793d78d9ce71b5ff2017c33889ed6d3c9d1f3d"),
    "emojione-monotone": (
        "1.2.1",
        "28df98ac9a92b8a01305014b9cd979c0939572d8d2bb70b93fc6007295921307",
    ),
    "emojione-v1": ("1.2.3", "0a2a2636ac438ce3a654db8c01d4248e4c00428bf3b826e1ef37519c258af22c"),
    "fluent-emoji": ("1.2.7", "4e3c3ce8f596d6ae07da6484529c471e289e62049102b18a1b471adaf19afdfb"),
    "fluent-emoji-flat": (
        "1.2.6",
        "053f2fcd0ab20e496af7690517288d3e1f1d6ee367fbee5e7228ad2a889da7e3",
    ),
    "fluent-emoji-high-contrast": (
        "1.2.6",
        "def6c45fa27733caa1083f24ff8b1d5fdb679b376895bab47dd38234899bc6bf",
    ),
    "fxemoji": ("1.2.2", "9bfeb32c53f4630124e674e254dd5143ba7e2451326da29033bd312a543709f5"),
    "noto": ("1.2.9", "94bceac9b211c6782aa3d0fb9a4df7c5f2eeb62b511dce9d1d0bbef033cf04cc"),
    "noto-v1": ("1.2.5", "c3c8963874e4c118562f37928e4fc5afeb6f7e3914ea716862fdf9227bb54c30"),
    "openmoji": ("1.2.29", "6a8814ced37994411899f651465b3c155302ff4627bba47dd62859c5af4eb6f8"),
    "streamline-emojis": (
        "1.2.4",
        "d542d24eee448112601702214fa8469c9f81b6781c5c9d195af8a992db9979fb",
    ),
    "twemoji": ("1.2.5", "6d27afad8680fe51d8f43513d954d4805fa7c04e3fe231f875a9ebc4afa8efd7"),
}
