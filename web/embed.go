// Package web holds the files that browsers fetch: styles, scripts, the mark.
// They are embedded, so that the program is one file. It promises that Asset
// names each by its content, and that a binary built without the vendored
// OpenPGP library (package.json; make copies it to static/vendor) still
// compiles and says so.
package web

import (
	"crypto/sha256"
	"crypto/sha512"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"path"
	"strings"
	"sync"
)

//go:embed all:static
var embedded embed.FS

// Prefix is where the files are served: Prefix + name of Files.
const Prefix = "/static/"

// Files is the tree of static files, without the leading "static/".
func Files() fs.FS {
	files, err := fs.Sub(embedded, "static")
	if err != nil { // cannot be: the pattern above would not have compiled
		return embedded
	}
	return files
}

type asset struct{ url, integrity, etag string }

var assets = sync.OnceValue(func() map[string]asset {
	all := map[string]asset{}
	fs.WalkDir(Files(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(Files(), name)
		if err != nil {
			return err
		}
		short, long := sha256.Sum256(b), sha512.Sum384(b)
		tag := hex.EncodeToString(short[:8])
		all[name] = asset{Prefix + name + "?v=" + tag, "sha384-" + base64.StdEncoding.EncodeToString(long[:]), `"` + tag + `"`}
		return nil
	})
	return all
})

// Asset gives the address of a file, which changes with its content, and its
// subresource integrity. Both are empty when there is no such file. What is
// asked for with its ?v= may be kept for ever.
func Asset(name string) (url, integrity string) {
	a := assets()[name]
	return a.url, a.integrity
}

// ETag is the strong entity tag of a file; empty when there is none such.
func ETag(name string) string { return assets()[name].etag }

// Type is the media type of a file by its name, as it has to be served with
// nosniff; empty for files that are not served (notes about the vendor folder).
func Type(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return ""
}

// HasVendor reports whether the OpenPGP library is in this binary. Without it
// the form offers pasting and sealing on arrival, and says so.
func HasVendor() bool {
	_, ok := assets()["vendor/openpgp.min.mjs"]
	return ok
}

// Public lists the names of files the gate needs, for those who render them as
// documents.
func Public() []string {
	var names []string
	for name := range assets() {
		if name == "public.css" || name == "gate.svg" || strings.HasPrefix(name, "vendor/") && Type(name) != "" || publicScripts[name] {
			names = append(names, name)
		}
	}
	return names
}

var publicScripts = map[string]bool{"time.js": true, "copy.js": true, "encrypt.js": true, "send.js": true, "draft.js": true}
