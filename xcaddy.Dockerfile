# Caddy with caddy-hass, built by xcaddy from this clone.
#
#   docker build -f xcaddy.Dockerfile -t caddy-hass .
#
# With modules for your DNS provider, so that certificates need no open port:
#
#   docker build -f xcaddy.Dockerfile -t caddy-hass \
#     --build-arg WITH="github.com/caddy-dns/cloudflare github.com/caddy-dns/duckdns" .
#
# Just the file, here for a Raspberry Pi or Home Assistant Green, in out/caddy:
#
#   docker build -f xcaddy.Dockerfile --target binary --build-arg TARGETARCH=arm64 --output out .
#
# For a 32-bit Raspberry Pi: --build-arg TARGETARCH=arm --build-arg TARGETVARIANT=v7.
# An image for another machine: docker buildx build --platform linux/arm64 …

# It runs on the machine that builds, whatever it builds for: Go cross-compiles.
FROM --platform=$BUILDPLATFORM golang:1.26-alpine AS build

ENV GOCACHE=/go/cache
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .

# Paths of Caddy modules to build in beside caddy-hass, divided by spaces; each
# may have a version behind @.
ARG WITH=""
ARG TARGETOS=linux
ARG TARGETARCH
ARG TARGETVARIANT

# xcaddy itself is built for this machine, before GOARCH says otherwise. Its
# version and Caddy's are those of go.mod. "@v0.0.0" stands there only so that
# nobody is asked for versions of what lies here.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/go/cache \
	set -eu; \
	go build -o /usr/local/bin/xcaddy github.com/caddyserver/xcaddy/cmd/xcaddy; \
	version="$(go list -m -f '{{.Version}}' github.com/caddyserver/caddy/v2)"; \
	set --; \
	for module in $WITH; do set -- "$@" --with "$module"; done; \
	export CGO_ENABLED=0 GOOS="$TARGETOS" GOARCH="${TARGETARCH:-$(go env GOARCH)}" GOARM="${TARGETVARIANT#v}"; \
	[ "$GOARCH" = arm ] || unset GOARM; \
	xcaddy build "$version" --with github.com/caddy-hass/caddy-hass@v0.0.0=. "$@" --output /out/caddy

# Just the file.
FROM scratch AS binary
COPY --from=build /out/caddy /caddy

FROM alpine:3.22

# The user of this number owns the volumes. Another one: --build-arg UID=…, or
# "user:" in compose.yaml and a chown of what is mounted.
ARG UID=1000
ARG GID=1000

# A file of its own may bind ports 80 and 443 without root, also in the host's
# network.
RUN --mount=type=bind,from=build,source=/out/caddy,target=/tmp/caddy \
	apk add --no-cache ca-certificates libcap-setcap mailcap tzdata && \
	cp /tmp/caddy /usr/bin/caddy && \
	setcap cap_net_bind_service=+ep /usr/bin/caddy && \
	addgroup -g "$GID" caddy && \
	adduser -D -H -u "$UID" -G caddy -h /data caddy && \
	mkdir -p /data/caddy /config/caddy /etc/caddy && \
	chown -R caddy:caddy /data /config

# Caddy's data folder is /data/caddy: links, link key and certificates.
ENV XDG_DATA_HOME=/data XDG_CONFIG_HOME=/config
VOLUME ["/data", "/config"]
WORKDIR /data
USER caddy

EXPOSE 80 443 443/udp

# Alive is who answers on the local admin endpoint, which holds no secret. It is not
# asked about the home: restarting Caddy would not bring that back.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
	CMD wget -q -O /dev/null http://127.0.0.1:2019/config/admin || exit 1

CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
