package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// measureJWT compares the processor time of the same requests, with the same
// cookie, to the same site with hass_jwt in front and without. Both servers run at
// once and are asked in turn, so that what else happens on the machine meets both.
func measureJWT(ctx context.Context, o *options) error {
	pemFile := filepath.Join(o.dir, "key.pem")
	cookie, err := mint(pemFile)
	if err != nil {
		return err
	}
	sides := []struct {
		name, directive string
		*server
		addr    string
		perCall []time.Duration
		cpu     time.Duration
	}{
		{name: "bare"},
		{name: "hass_jwt", directive: "hass_jwt {\n\t\tkey file " + pemFile + "\n\t\tallow roles user\n\t}"},
	}
	for i := range sides {
		s := &sides[i]
		if s.addr, err = freeAddr(); err != nil {
			return err
		}
		s.server, err = startServer(ctx, o.caddy, filepath.Join(o.dir, s.name), fmt.Sprintf(`{
	admin off
	auto_https off
}
http://%s {
	%s
	respond "Hello"
}
`, s.addr, s.directive), s.addr)
		if err != nil {
			return err
		}
		defer s.stop()
	}

	// Were hass_jwt not in front, its side would cost nothing.
	for i, want := range []int{http.StatusOK, http.StatusUnauthorized} {
		resp, err := http.Get("http://" + sides[i].addr)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			return fmt.Errorf("%s answers a request without cookie by %s", sides[i].name, resp.Status)
		}
	}

	var ratios []float64
	for round := range o.rounds {
		for i := range sides {
			// The second goes first every other time.
			s := &sides[(i+round)%2]
			request := []byte("GET / HTTP/1.1\r\nHost: " + s.addr + "\r\nCookie: jwt_access_token=" + cookie + "\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
			before, err := s.server.cpu()
			if err != nil {
				return err
			}
			if _, err := send(ctx, s.addr, o.requests, o.conns, func(int) []byte { return request }); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			after, err := s.server.cpu()
			if err != nil {
				return err
			}
			if round > 0 {
				s.cpu += after - before
				s.perCall = append(s.perCall, (after-before)/time.Duration(o.requests))
			}
		}
		if round > 0 {
			ratios = append(ratios, float64(sides[1].perCall[round-1])/float64(sides[0].perCall[round-1]))
		}
	}
	for _, s := range sides {
		fmt.Printf("%-9s CPU per request %6.2f µs   rounds %v\n", s.name,
			float64(s.cpu.Nanoseconds())/1e3/float64((o.rounds-1)*o.requests), s.perCall)
	}
	slices.Sort(ratios)
	fmt.Printf("hass_jwt / bare: %.3f, the median of rounds from %.3f to %.3f; %.3f all in all (goal: at most 1.1)\n",
		ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1], float64(sides[1].cpu)/float64(sides[0].cpu))
	return nil
}

// mint writes a public key to a file and returns a cookie that it accepts.
func mint(pemFile string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(pemFile, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		return "", err
	}
	now := time.Now()
	return jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"sub": "5d3bd0a4c1f24c3f8f1e6d1b2a3c4d5e", "name": "Anna", "roles": []string{"admin", "user"},
		"iss": "homeassistant", "aud": "homeassistant",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}).SignedString(key)
}
