package server

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Text is s as a database keeps it: what is not UTF-8, and NUL, become U+FFFD.
func Text(s string) string {
	if plain(s) {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

func plain(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// named says whether path and query are text: nothing is called by other bytes.
func named(u *url.URL) bool {
	query, err := url.QueryUnescape(u.RawQuery)
	return err == nil && plain(u.Path) && plain(query)
}

// cleanForm reads a form without files and makes text of each of its fields.
// Forms with files are read as they stream in, by who takes them.
func cleanForm(r *http.Request) error {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/x-www-form-urlencoded" {
		return nil
	}
	if err := r.ParseForm(); err != nil {
		var escape url.EscapeError
		if errors.As(err, &escape) {
			return errBroken
		}
		return err
	}
	for _, values := range []url.Values{r.PostForm, r.Form} {
		for _, list := range values {
			for i := range list {
				list[i] = Text(list[i])
			}
		}
	}
	return nil
}
