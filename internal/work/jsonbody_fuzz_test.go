package work

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"
)

// FuzzShorten: a JSON text without its long strings, with each put back where
// its mark stands, is the same JSON text. A byte 1 stands for a long stretch.
func FuzzShorten(f *testing.F) {
	for _, s := range []string{
		`{"description": "` + "\x01" + `", "files": [{"name": "a", "data": "QUFB"}]}`, `["\u00e9` + "\x01" + `\ud83d\ude00\n\""]`, `"` + "\x01" + `\\"`, `{"` + "\x01" + `": 1}`,
		`["\ud800` + "\x01" + `", "` + "\x01" + `"]`, `"` + "\x01", `{}`, `["short", 1, null]`, `"\`, "\"\x01\\", `["\u00` + "\x01" + `"]`,
		"{\"\":\"\x01\x93\x93\"}",
	} {
		f.Add([]byte(s))
	}
	stretch := []byte(strings.Repeat("0123456789abcdef", longString/16+1))
	f.Fuzz(func(t *testing.T, text []byte) {
		text = bytes.Replace(text, []byte{1}, stretch, 3)
		short, err := shorten(bytes.NewReader(text))
		if err != nil {
			if len(text) < maxJSON {
				t.Errorf("shorten(%d bytes) = %v", len(text), err)
			}
			return
		}
		for _, c := range short.cuts {
			if c.from < 0 || c.to <= c.from || c.to > int64(len(text)) {
				t.Fatalf("cut %+v of %d bytes", c, len(text))
			}
		}
		var want, got any
		valid := json.Unmarshal(text, &want) == nil
		if back := json.Unmarshal(short.text, &got) == nil; valid && !back {
			t.Fatalf("%d bytes of JSON became none: %.200q", len(text), short.text)
		}
		if valid && !reflect.DeepEqual(short.whole(text, got), want) {
			t.Errorf("shortened and put together it differs: %.200q", short.text)
		}
	})
}

// whole puts back what was cut.
func (s *shortJSON) whole(text []byte, v any) any {
	switch v := v.(type) {
	case string:
		if c, ok := s.cutOf([]byte(v)); ok {
			b, _ := io.ReadAll(newUnescaper(bytes.NewReader(text[c.from:c.to]), 32<<10))
			return wellFormed(b)
		}
	case []any:
		for i := range v {
			v[i] = s.whole(text, v[i])
		}
	case map[string]any:
		for k, x := range v {
			delete(v, k)
			v[s.whole(text, k).(string)] = s.whole(text, x)
		}
	}
	return v
}
