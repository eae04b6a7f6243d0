"""Settings: `OMNI_*` variables, files of secrets, and the same names (without the prefix, lower case) in `omni.yaml`.

A variable wins over a file of OMNI_SECRETS_DIR, and that over `omni.yaml`. A missing or wrong setting is one sentence
that names it and the mend.
"""

from __future__ import annotations

import os
import re
from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from omni.model.agent import Agent
from omni.model.channel import PhoneChannel, SmsChannel
from omni.model.sip import IpAddress, SipListen, SipTrunk, listens
from omni.secretfiles import SECRETS_DIR, SecretFileError, secret_files

Role = Literal["all", "gateway", "session", "delivery", "voice"]

PREFIX = "OMNI_"
DEFAULT_FILE = "omni.yaml"
SHORTEST_SECRET = 16
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
_ICE = re.compile(r"(?:stun|turn)s?:[^\s:?@]+(?::[0-9]{1,5})?(?:\?transport=(?:udp|tcp))?")
_PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class SettingsError(Exception):
    """A setting is missing or wrong; the text names it and the mend."""


class Settings(BaseSettings):
    """Everything a process needs to know before it starts. Times are seconds, sizes bytes."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, env_ignore_empty=True)

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    public_url: str | None = None
    """Where the world reaches us: the doctor tries the webhook there."""
    store_url: str = "sqlite:///omni.db"
    bus_url: str = ""
    bus_prefix: str = Field(default="omni", pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    blob_url: str = ""
    sqlite_sync: Literal["full", "normal"] = "full"
    partitions: int = Field(default=8, ge=1, le=256)
    api_key: SecretStr | None = None
    """A key of the organisation `default`, valid without being stored."""
    secret: SecretStr | None = None
    """Signs tokens and visitors. Without one the installation makes its own, and keeps it in the store."""
    previous_secret: SecretStr | None = None
    """Accepted beside `secret` while it is being changed."""
    proxies: int = Field(default=0, ge=0, le=8)
    """How many proxies stand in front of us that add to `X-Forwarded-For`; none of their headers is read with 0."""
    agent_info: bool = True
    """Whether anybody may ask which channels an agent has."""
    allow_private_webhooks: bool = False
    """Whether webhooks and tools may be at http:// addresses and in private networks."""
    rest_per_minute: int = Field(default=12_000, ge=1)
    """Requests to `/v1` with one API key, in one process."""
    webhook_log_days: float = Field(default=7, ge=1, le=90)
    """How long deliveries to webhooks are listed, and can be sent again, once they are finished."""
    whatsapp_graph_url: str = "https://graph.facebook.com"
    twilio_api_url: str = "https://api.twilio.com"
    llm_base_url: str | None = None
    llm_model: str = "gpt-4.1-mini"
    openai_api_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")
    stt_model: str | None = None
    """What hears voice notes and callers here: a model's folder or name; without it the packaged one."""
    tts_voice: str | None = None
    """What speaks here: a Piper voice, as its .onnx file or a folder of them; without it the packaged one."""
    turn_model: str | None = None
    """A Smart Turn v3 file (.onnx), which tells by the sound whether a caller who pauses has finished."""
    deepgram_api_key: SecretStr | None = Field(default=None, validation_alias="DEEPGRAM_API_KEY")
    elevenlabs_api_key: SecretStr | None = Field(default=None, validation_alias="ELEVENLABS_API_KEY")
    openai_audio_url: str | None = None
    """Another address of OpenAI's speech and transcription; the model's own is OMNI_LLM_BASE_URL."""
    voice_url: str | None = None
    """Where carriers reach this process's sound, when it is not at OMNI_PUBLIC_URL."""
    ice_servers: str = ""
    """STUN and TURN servers of browser calls, with commas between them: `stun:stun.example.com:3478, turn:…`."""
    turn_secret: SecretStr | None = None
    """The secret that the TURN servers share with us (coturn: `static-auth-secret`)."""
    max_calls: int = Field(default=40, ge=0, le=1_000)
    """Calls with sound that a voice worker takes; the next one hears a busy line."""
    drain_calls: float | None = Field(default=None, ge=0, le=86_400)
    """Seconds that calls with sound may go on when the process is asked to stop (None: by its role)."""
    sip_bind: str = ""
    """Where calls come in by SIP: `203.0.113.7:5060` (UDP and TCP), or `udp://…, tcp://…, tls://…`. Empty: nowhere."""
    sip_advertised_ip: IpAddress | None = None
    """Our address as the world sees it, behind a router that translates addresses."""
    sip_tls_cert: str | None = None
    """The certificate of `tls://` addresses, as a PEM file, with its chain."""
    sip_tls_key: str | None = None
    sip_rtp_ports: str = "20000-29999"
    """Ports for the sound of SIP calls: two a call."""
    sip_trunks: tuple[SipTrunk, ...] = ()
    log_format: Literal["pretty", "json"] = "pretty"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    settle_wait: float = Field(default=20, ge=0, le=300)
    """How long an unclear send waits for a status before it is sent again."""
    probe_every: float = Field(default=30, gt=0, le=3600)
    """How long between two looks whether a refused access token works again."""
    session_prefetch: int = Field(default=256, ge=1, le=10_000)
    hot_calls: int = Field(default=1024, ge=0, le=100_000)
    oidc_issuer: str | None = None
    """Operators may sign in through this OpenID Connect provider."""
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_name: str = Field(default="single sign-on", min_length=1, max_length=40)
    """What the button says."""
    oidc_domains: Annotated[tuple[str, ...], NoDecode] = ()
    """People with a verified e-mail of these domains become operators when they first sign in."""
    oidc_role: Literal["admin", "agent", "viewer"] = "agent"
    """What they may do then."""
    agents: tuple[Agent, ...] = ()
    inventory: tuple[Annotated[SmsChannel | PhoneChannel, Field(discriminator="kind")], ...] = ()
    """Numbers that whoever asks for one over `/agentphone` is given."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Variables first, then files of secrets, then what `load` read from the file."""
        return (env_settings, file_secret_settings, init_settings)

    @field_validator("store_url")
    @classmethod
    def _known_store(cls, url: str) -> str:
        scheme = urlsplit(url).scheme
        if scheme not in ("sqlite", "mongodb", "mongodb+srv"):
            raise ValueError(f"unknown scheme {scheme!r}; use sqlite:///file.db, mongodb://… or mongodb+srv://…")
        return url

    @field_validator("bus_url")
    @classmethod
    def _known_bus(cls, url: str) -> str:
        scheme = urlsplit(url).scheme
        if url and scheme not in ("amqp", "amqps"):
            raise ValueError(f"unknown scheme {scheme!r}; use amqp://, amqps:// or leave it empty")
        return url

    @field_validator("sip_bind")
    @classmethod
    def _can_listen(cls, text: str) -> str:
        listens(text)
        return text

    @field_validator("sip_rtp_ports")
    @classmethod
    def _are_ports(cls, text: str) -> str:
        first, _, last = text.partition("-")
        if not (first.isdigit() and last.isdigit() and 1024 <= int(first) < int(last) <= 65535):
            raise ValueError("is not a range of ports; write it as 20000-29999")
        return text

    @model_validator(mode="after")
    def _one_trunk_a_name(self) -> Self:
        names = [trunk.key for trunk in self.sip_trunks]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two SIP trunks are called {twice[1]!r}; give each a name of its own")
        if self.sip_trunks and not self.sip_bind:
            raise ValueError("sip_trunks are set without OMNI_SIP_BIND; set the address that SIP is spoken on")
        for agent in self.agents:
            for channel in agent.channels:
                named = channel.trunk if channel.kind in ("phone", "sip") else None
                if named is not None and not self.sip_bind:
                    raise ValueError(
                        f"{channel.id} goes by the SIP trunk {named!r}, and SIP is not spoken; set OMNI_SIP_BIND"
                    )
        if any(one.transport == "tls" for one in self.sip_listens) and not self.sip_tls_cert:
            raise ValueError("OMNI_SIP_BIND has a tls:// address; set OMNI_SIP_TLS_CERT (and OMNI_SIP_TLS_KEY)")
        return self

    @field_validator("ice_servers")
    @classmethod
    def _are_ice_servers(cls, text: str) -> str:
        for url in _listed(text):
            if _ICE.fullmatch(url) is None:
                raise ValueError(f"{url[:60]!r} is no STUN or TURN server; write stun:host:port or turn:host:port")
        return text

    @field_validator("oidc_domains", mode="before")
    @classmethod
    def _are_domains(cls, domains: object) -> tuple[str, ...]:
        """`example.com, example.org`, or a list of them in the file."""
        named = domains.split(",") if isinstance(domains, str) else domains
        if not isinstance(named, list | tuple):
            raise ValueError("use domains with commas between them, like example.com,example.org")  # noqa: TRY004 - pydantic's
        found = tuple(str(each).strip().lower().removeprefix("@") for each in named if str(each).strip())
        for each in found:
            if not _DOMAIN.fullmatch(each):
                raise ValueError(f"{each!r} is not a domain; it looks like example.com")
        return found

    @model_validator(mode="after")
    def _can_ask_the_provider(self) -> Self:
        if self.oidc_issuer is None:
            for name in ("oidc_client_id", "oidc_client_secret", "oidc_domains"):
                if getattr(self, name):
                    raise ValueError(
                        f"{PREFIX}{name.upper()} is set without OMNI_OIDC_ISSUER; set the provider's address"
                    )
            return self
        parts = urlsplit(self.oidc_issuer)
        is_near = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and is_near)):
            raise ValueError(
                f"OMNI_OIDC_ISSUER {self.oidc_issuer!r}: it must begin with https://, as the provider's issuer does"
            )
        if not self.oidc_client_id:
            raise ValueError(
                "OMNI_OIDC_CLIENT_ID is missing; OMNI_OIDC_ISSUER needs the id that the provider gave this server"
            )
        return self

    @field_validator(
        "oidc_issuer",
        "whatsapp_graph_url",
        "twilio_api_url",
        "llm_base_url",
        "openai_audio_url",
        "public_url",
        "voice_url",
    )
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url is not None and urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"{url!r} is not a web address; it must begin with https:// (or http:// for tests)")
        return url.rstrip("/") if url is not None else None

    @field_validator("secret", "previous_secret")
    @classmethod
    def _is_long(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(
                f"is too short to sign with; take {SHORTEST_SECRET} characters or more, as `openssl rand -hex 32` makes"
            )
        return secret

    @model_validator(mode="after")
    def _one_owner_a_number(self) -> Self:
        owners: dict[str, str] = {}
        for agent in self.agents:
            for channel in agent.channels:
                if channel.kind not in ("whatsapp", "sms", "phone"):
                    continue
                if (other := owners.setdefault(channel.id, agent.slug)) != agent.slug:
                    raise ValueError(f"the agents {other!r} and {agent.slug!r} both have {channel.id}; give it to one")
        return self

    @property
    def sip_listens(self) -> tuple[SipListen, ...]:
        return listens(self.sip_bind)

    @property
    def sip_ports(self) -> range:
        first, _, last = self.sip_rtp_ports.partition("-")
        return range(int(first), int(last) + 1)

    @property
    def ice_urls(self) -> tuple[str, ...]:
        return _listed(self.ice_servers)

    @property
    def is_embedded(self) -> bool:
        """True when the bus lives in this process."""
        return not self.bus_url

    @property
    def sqlite_path(self) -> str | None:
        """The SQLite file, when the store is one."""
        if not self.store_url.startswith("sqlite:"):
            return None
        return self.store_url.removeprefix("sqlite://").removeprefix("/") or "omni.db"

    @property
    def has_llm(self) -> bool:
        return self.llm_base_url is not None or self.openai_api_key is not None


def load(file: str | Path | None = None, **overrides: Any) -> Settings:
    """Settings from the variables, the files of OMNI_SECRETS_DIR, the file (`omni.yaml` when there is one) and
    `overrides`, which win.

    Raises SettingsError.
    """
    path = Path(file) if file is not None else Path(DEFAULT_FILE)
    folder = os.environ.get(SECRETS_DIR) or None
    try:
        secrets = secret_files(Path(folder)) if folder is not None else {}
    except SecretFileError as error:
        raise SettingsError(str(error)) from None
    values: dict[str, Any] = {}
    if path.exists():
        values = _read(path, ChainMap(os.environ, secrets))
    elif file is not None:
        raise SettingsError(f"the file {path} does not exist; name another with --config")
    known = set(Settings.model_fields)
    for secret in ("openai_api_key", "deepgram_api_key", "elevenlabs_api_key"):
        if secret in values:
            raise SettingsError(f"{path}: keep the key out of the file; set the variable {secret.upper()}")
    for name in values:
        if name not in known:
            raise SettingsError(f"{path}: {name!r} is not a setting; known are {', '.join(sorted(known))}")
    try:
        settings = Settings(_secrets_dir=folder, **values)
    except ValidationError as error:
        raise SettingsError(_sentence(error, path if path.exists() else None)) from None
    given = {name: value for name, value in overrides.items() if value is not None}
    return settings.model_copy(update=given) if given else settings


def _read(path: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not YAML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"{path} must hold names and values, like `port: 8080`")
    named = {str(name).removeprefix(PREFIX).lower(): value for name, value in content.items()}
    return {name: _filled(value, path, variables) for name, value in named.items()}


def _filled(value: Any, path: Path, variables: Mapping[str, str]) -> Any:
    """`${NAME}` in the file stands for a variable or a file of secrets, so that they need not be written into it."""
    if isinstance(value, dict):
        return {key: _filled(inner, path, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, path, variables) for inner in value]
    if not isinstance(value, str):
        return value

    def variable(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in variables:
            raise SettingsError(f"{path} refers to ${{{name}}}, and there is no such variable; set {name}")
        return variables[name]

    return _PLACEHOLDER.sub(variable, value)


def _sentence(error: ValidationError, path: Path | None) -> str:
    """The first problem as a sentence; never with the value of a secret."""
    problem = error.errors(include_url=False, include_context=False)[0]
    where = [str(step) for step in problem["loc"]]
    what = problem["msg"].removeprefix("Value error, ")
    if where and where[0] in ("agents", "inventory", "sip_trunks"):
        return f"{path or where[0]}: {'.'.join(where)}: {what}"
    name = where[0] if where else "the settings"
    variable = name.upper() if name.upper().endswith("_API_KEY") and name != "api_key" else f"{PREFIX}{name.upper()}"
    given = _without_password(problem.get("input"))
    shown = f" {given!r}" if isinstance(given, str | int | float) and not _is_secret(name) else ""
    return f"{variable}{shown}: {what}" if where else what


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in ("key", "secret", "token"))


def _without_password(value: Any) -> Any:
    """A URL without what stands between its scheme and host."""
    return re.sub(r"//[^/@]*@", "//…@", value) if isinstance(value, str) else value


def _listed(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(",") if each.strip())
