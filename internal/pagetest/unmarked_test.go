package pagetest

import (
	"slices"
	"testing"
)

func TestUnmarked(t *testing.T) {
	found := Unmarked(`<!doctype html><html lang="fi"><head><title>⟦Links⟧ · House</title><style>p {}</style><meta name="description" content="About"></head>
		<body data-state="ready" data-lost="All gone"><p>⟦From ⟧Tom⟦ to ⟧Ann</p><p lang="de">Deutsch</p><p><bdi>Ann</bdi> <code>lock.door</code> 12:30 · → </p>
		<img alt="Photo"><input placeholder="Your name" value="Ann"><input type="submit" value="Send"><button value="op" aria-label="⟦Close⟧">OK</button><script>let x = "y"</script>
		<noscript><p>No script</p></noscript></body></html>`, "House", "Tom")
	want := []string{"<meta>: About", "<body data-lost>: All gone", "<p>: Ann", "<img alt>: Photo", "<input placeholder>: Your name", "<input value>: Send", "<button>: OK", "<p>: No script"}
	if !slices.Equal(found, want) {
		t.Errorf("%q\nwant\n%q", found, want)
	}
	found = UnmarkedJSON([]byte(`{"a":"⟦x⟧ 1","b":["y","{n}"],"c":"<svg>","d":1}`), nil, "c")
	if !slices.Equal(found, []string{".b: y"}) {
		t.Errorf("%q", found)
	}
}
