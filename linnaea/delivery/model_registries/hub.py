"""The Hugging Face Hub as a model registry: a repository, whose versions are tags of its commits."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from linnaea.classifier.content import MOST_FILES, SCHEME, SIGNATURE, Content, is_address, require_names
from linnaea.delivery.model_registries.contract import DIGEST, MODEL_REGISTRIES, ModelRegistry, Version, asking
from linnaea.errors import BundleError, RegistryError, UsageError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9][A-Za-z0-9_.-]{0,95}")
NUMBER = re.compile(r"v([1-9]\d*)")
HIDDEN = re.compile(r"\.[^./\\][^/\\]*")  # such as .gitattributes, which the Hub adds
USUAL = "https://huggingface.co"


@MODEL_REGISTRIES.register(
    "hf",
    title="Hugging Face Hub",
    meaning="A repository of the Hub, or of the server that HF_ENDPOINT names: `hf:user/birds`; private when new.",
    order=3,
)
class HubRegistry(ModelRegistry):
    """Each push is a commit with the tags `v3` and `sha256-...`; the model card is the page of the repository."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        if not NAME.fullmatch(place):
            raise UsageError(
                f"{place!r} is no repository of the Hub: expected a user and a name, such as hf:user/birds."
            )
        self.endpoint = os.environ.get("HF_ENDPOINT") or USUAL

    def push(self, content: Content, tags: Sequence[str]) -> Version:
        """Commit the files in place of those of the latest version, and tag the commit."""
        api = self._api()
        with asking(f"the Hub at {self.endpoint}"):
            api.create_repo(self.place, private=True, exist_ok=True)
            commit = api.upload_folder(
                repo_id=self.place,
                folder_path=content.folder,
                allow_patterns=[*map(_escaped, content.files), SIGNATURE],
                delete_patterns="*",
                commit_message=f"Linnaea: {content.address}",
            ).oid
            number = self._numbered(api, commit)
            for tag in (content.address.replace(SCHEME, DIGEST), *tags):
                self._move(api, tag, commit)
        return next(version for version in self.versions() if version.number == number)

    def versions(self) -> list[Version]:
        """The tags `v1`, `v2`, ... with what else is tagged at the same commit."""
        from huggingface_hub.errors import RepositoryNotFoundError

        with asking(f"the Hub at {self.endpoint}"):
            try:
                refs = self._api().list_repo_refs(self.place).tags
            except RepositoryNotFoundError:
                raise RegistryError(
                    f"the Hub at {self.endpoint} has no repository {self.place}, or it is private and HF_TOKEN is not "
                    "set to a token that may read it."
                ) from None
        found = []
        for ref in refs:
            if number := NUMBER.fullmatch(ref.name):
                beside = sorted(other.name for other in refs if other.target_commit == ref.target_commit)
                addresses = [SCHEME + name.removeprefix(DIGEST) for name in beside if name.startswith(DIGEST)]
                tags = tuple(name for name in beside if not name.startswith(DIGEST) and not NUMBER.fullmatch(name))
                known = [address for address in addresses if is_address(address)]
                found.append(Version(int(number[1]), known[0] if known else "", tags))
        return sorted(found, key=lambda version: version.number)

    def fetch(self, version: Version, folder: Path) -> None:
        """Download the files of a version, whose names are looked at before."""
        api = self._api()
        with asking(f"the Hub at {self.endpoint}"):
            told = api.model_info(self.place, revision=f"v{version.number}")
            names = [file.rfilename for file in told.siblings or []]
            shown = [name for name in names if not HIDDEN.fullmatch(name)]
            if len(shown) > MOST_FILES:
                raise BundleError(f"{self.place} holds {len(shown):,} files, which no bundle does.")
            require_names(shown, self.place)
            api.snapshot_download(
                self.place, revision=told.sha, local_dir=folder, allow_patterns=[*map(_escaped, shown)]
            )

    def _api(self) -> "HfApi":
        from huggingface_hub import HfApi
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
        return HfApi(endpoint=self.endpoint)

    def _numbered(self, api: "HfApi", commit: str) -> int:
        """The number of a commit: the one that it has, or the next that nobody takes meanwhile."""
        from huggingface_hub.errors import HfHubHTTPError

        while True:
            tags = {ref.name: ref.target_commit for ref in api.list_repo_refs(self.place).tags}
            numbers = {int(found[1]): target for name, target in tags.items() if (found := NUMBER.fullmatch(name))}
            own = [number for number, target in numbers.items() if target == commit]
            if own:
                return max(own)
            number = max(numbers, default=0) + 1
            try:
                api.create_tag(self.place, tag=f"v{number}", revision=commit)
            except HfHubHTTPError as error:
                if error.response.status_code != 409:
                    raise
                continue
            return number

    def _move(self, api: "HfApi", tag: str, commit: str) -> None:
        """Let a tag point to a commit, wherever it pointed before."""
        before = {ref.name: ref.target_commit for ref in api.list_repo_refs(self.place).tags}
        if before.get(tag) == commit:
            return
        if tag in before:
            api.delete_tag(self.place, tag=tag)
        api.create_tag(self.place, tag=tag, revision=commit, exist_ok=True)


def _escaped(name: str) -> str:
    """A name as the only one that a pattern of the Hub's client stands for."""
    return re.sub(r"([*?\[])", r"[\1]", name)
