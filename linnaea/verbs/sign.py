"""`sign`: a classifier signed by an offline key, and the key that signs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.errors import UsageError
from linnaea.options import Option, checks
from linnaea.runtime.saying import say, say_text
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.classifier.signed import Signed
    from linnaea.run import Run

Signable = Annotated[
    "str | Path | Run | None",
    Option("The folder of a run, a bundle or an export.", checks.run, read=Path, plain=True, metavar="RUN"),
]


def tell(
    answer: Callable[[], "Signed"],
    given: Mapping[str, Any],
    *,
    new_key: Annotated[
        Path | None, Option("Make a key: the private one in this file, FILE.pub beside it; sign nothing.", read=Path)
    ] = None,
) -> None:
    """Say what was signed, or where the new key is."""
    if new_key is not None:
        from linnaea.classifier.keys import make_key
        from linnaea.experiments.sealed_bundle import passphrase_for

        passphrase = passphrase_for("Passphrase of the new key (empty: none): ")
        key = make_key(new_key, passphrase)
        say(f"The private key is in {new_key}{'' if passphrase else ', without a passphrase'}: keep it to yourself.")
        say(f"The public key is in {key.name}, with the fingerprint {key.fingerprint}.")
        say(f"Next: linnaea sign RUN --key {new_key}")
        return
    say_text(str(answer()))
    say(f"Next: linnaea verify {given['run']} --trust {given['key']}.pub")


@VERBS.register(
    "sign",
    title="Sign",
    meaning="Sign every file of a classifier with an Ed25519 key: who trusts the key knows that nothing was changed.",
    order=66,
)
@told_by(tell)
def sign(
    run: Signable = None,
    *,
    key: Annotated[str | Path | None, Option("File of the private key, made with --new-key.", read=Path)] = None,
    signed_by: Annotated[str, Option("Name that is signed with it. Default: none.")] = "",
) -> "Signed":
    """Sign the bundle of a run, or a bundle or an export, with the private key in a file.

    The signature lies beside the files as `signature.json`, and is void once any of them changes, is added or taken
    away: sign last. The bill of materials, `sbom.cdx.json`, is written first where there is none. The passphrase of the
    key is read from the environment variable LINNAEA_PASSPHRASE or, on a terminal, asked for. Raises UsageError for a
    file that is no private key, or that others may read; BundleError for a bundle that cannot be loaded.
    """
    from linnaea.classifier.keys import is_protected
    from linnaea.classifier.signature import sign as sign_content
    from linnaea.classifier.signed import signed_content
    from linnaea.experiments.sealed_bundle import passphrase_for, sealed
    from linnaea.run import now

    if run is None or key is None:
        raise UsageError("sign needs a run and a key: linnaea sign RUN --key FILE; --new-key FILE makes a key.")
    file = Path(key)
    passphrase = passphrase_for(f"Passphrase of {file}: ", needed=is_protected(file))
    content = sealed(run)
    sign_content(content, file, passphrase=passphrase, signed_by=signed_by, when=now())
    return signed_content(content)
