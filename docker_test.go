package caddyhass_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The Dockerfile names a Go that can build go.mod, takes all other versions from
// there, and copies only what there is.
func TestDockerfileFitsTheRepository(t *testing.T) {
	docker, mod := read(t, "xcaddy.Dockerfile"), read(t, "go.mod")

	image := regexp.MustCompile(`(?m)^FROM --platform=\$BUILDPLATFORM golang:(\d+\.\d+)-`).FindStringSubmatch(docker)
	wanted := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(mod)
	if image == nil || image[1] != wanted[1] {
		t.Errorf("the image is golang %v, go.mod says %v", image, wanted)
	}
	if !regexp.MustCompile(`(?m)^(tool |\t)github.com/caddyserver/xcaddy/cmd/xcaddy$`).MatchString(mod) {
		t.Error("go.mod has no xcaddy, whose version the Dockerfile takes from there")
	}
	if m := regexp.MustCompile(`caddy@v\d|caddy/v2@|xcaddy@`).FindString(docker); m != "" {
		t.Errorf("the Dockerfile has a version of its own: %s", m)
	}
	for _, m := range regexp.MustCompile(`--with (\S*caddy-hass\S*)`).FindAllStringSubmatch(docker, -1) {
		if m[1] != "github.com/caddy-hass/caddy-hass@v0.0.0=." {
			t.Errorf("%s: built is the clone, never what is at that address", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^COPY ([^-\n].*) \S+$`).FindAllStringSubmatch(docker, -1) {
		for _, path := range strings.Fields(m[1]) {
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
		}
	}
	for _, needed := range []string{
		"ARG WITH=\"\"\n", "ARG TARGETARCH\n", "FROM scratch AS binary\n", "\nUSER caddy\n", "\nHEALTHCHECK ",
		"VOLUME [\"/data\", \"/config\"]", "443/udp", "cap_net_bind_service",
	} {
		if !strings.Contains(docker, needed) {
			t.Errorf("the Dockerfile has no %q", needed)
		}
	}
	if strings.LastIndex(docker, "\nUSER ") < strings.LastIndex(docker, "\nRUN ") {
		t.Error("the image runs as root")
	}
}

// What the build needs is not left out of it, and what is secret is.
func TestDockerignore(t *testing.T) {
	ignored := strings.Fields(regexp.MustCompile(`(?m)^#.*$`).ReplaceAllString(read(t, ".dockerignore"), ""))
	has := make(map[string]bool)
	for _, pattern := range ignored {
		has[strings.TrimPrefix(pattern, "/")] = true
	}
	for _, needed := range []string{"caddyhass.go", "caddyjwt", "caddyonetime", "cmd", "go.mod", "go.sum", "hassapp", "hassclient", "hasscmd", "internal"} {
		if has[needed] {
			t.Errorf("%s is left out of the build", needed)
		}
	}
	for _, secret := range []string{"secrets", ".env", "config", "*.db"} {
		if !has[secret] {
			t.Errorf("%s gets into a layer", secret)
		}
	}
}

// compose.yaml builds the clone, keeps the data, and has the container's own
// address for the health check.
func TestCompose(t *testing.T) {
	var compose struct {
		Services map[string]struct {
			Build struct {
				Context, Dockerfile string
				Args                map[string]string
			}
			Restart     string
			Ports       []string
			Volumes     []string
			Secrets     []string
			Healthcheck struct{ Test []string }
		}
		Volumes map[string]any
		Secrets map[string]struct{ File string }
	}
	if err := yaml.Unmarshal([]byte(read(t, "compose.yaml")), &compose); err != nil {
		t.Fatal(err)
	}
	caddy, ok := compose.Services["caddy"]
	if !ok {
		t.Fatal("there is no service caddy")
	}
	if _, err := os.Stat(caddy.Build.Dockerfile); err != nil {
		t.Error(err)
	}
	if _, ok := caddy.Build.Args["WITH"]; !ok {
		t.Error("the argument WITH for DNS modules is missing")
	}
	all := strings.Join(append(caddy.Ports, caddy.Volumes...), "\n")
	for _, needed := range []string{"80:80", "443:443", "443:443/udp", "caddy_data:/data", "caddy_config:/config", ":/etc/caddy"} {
		if !strings.Contains(all, needed) {
			t.Errorf("%s is missing in\n%s", needed, all)
		}
	}
	for _, volume := range []string{"caddy_data", "caddy_config"} {
		if _, ok := compose.Volumes[volume]; !ok {
			t.Errorf("the volume %s is not declared", volume)
		}
	}
	if caddy.Restart == "" || len(caddy.Healthcheck.Test) == 0 {
		t.Error("restart or healthcheck is missing")
	}
	for _, secret := range caddy.Secrets {
		if compose.Secrets[secret].File == "" {
			t.Errorf("the secret %s has no file", secret)
		}
	}
	if health := strings.Join(caddy.Healthcheck.Test[1:], " "); !strings.Contains(read(t, "xcaddy.Dockerfile"), health) {
		t.Errorf("the image's own health check is another: %s", health)
	}
}

// The documentation builds with xcaddy what the Dockerfile does: the Caddy of
// go.mod, and this clone.
func TestBuildsOfTheDocumentation(t *testing.T) {
	version := regexp.MustCompile(`github.com/caddyserver/caddy/v2 (v\S+)`).FindStringSubmatch(read(t, "go.mod"))[1]
	found := 0
	for _, name := range documents(t) {
		text := read(t, name)
		for _, m := range regexp.MustCompile(`xcaddy build (\S+)`).FindAllStringSubmatch(text, -1) {
			found++
			if m[1] != version {
				t.Errorf("%s: xcaddy build %s, and go.mod has Caddy %s", name, m[1], version)
			}
		}
		for _, m := range regexp.MustCompile(`--with (\S*caddy-hass/caddy-hass\S*)`).FindAllStringSubmatch(text, -1) {
			if !strings.HasSuffix(strings.TrimRight(m[1], "`:,"), "=.") {
				t.Errorf("%s: --with %s does not build the clone", name, m[1])
			}
		}
	}
	if found == 0 {
		t.Error("no build was found")
	}
}
