package ui

import (
	"io/fs"

	"postern/web"
)

// Static is the tree of static files, served under web's prefix "/static/".
// With StaticType, StaticTag and PublicFiles it is here so that the doors need
// to know this package alone.
func Static() fs.FS { return web.Files() }

// StaticPrefix is where Static is served.
const StaticPrefix = web.Prefix

// StaticType is the media type of a static file; empty: it is not served.
func StaticType(name string) string { return web.Type(name) }

// StaticTag is the strong ETag of a static file.
func StaticTag(name string) string { return web.ETag(name) }

// PublicFiles names the static files that pages of the gate fetch.
func PublicFiles() []string { return web.Public() }

// HasVendor reports whether the browser's OpenPGP library is in this binary.
func HasVendor() bool { return web.HasVendor() }

func assetURL(name string) string       { u, _ := web.Asset(name); return u }
func assetIntegrity(name string) string { _, i := web.Asset(name); return i }

// LibraryURL is where the browser's OpenPGP library is; empty without it.
func LibraryURL() string { return assetURL("vendor/openpgp.min.mjs") }

// EncryptURL is where the script is that encrypts a form; send.js loads it.
func EncryptURL() string { return assetURL("encrypt.js") }
