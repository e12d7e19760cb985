"""How examples are drawn: the same ones in every run of the suite, new ones in `make fuzz`."""

from hypothesis import Phase, settings

settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    max_examples=30,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)
settings.register_profile("fuzz", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile("suite")
