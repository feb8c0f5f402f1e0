// Package migrations holds the schema, one file a step, embedded so that the
// one binary can make and judge a database. Files are never edited once
// released; they only go forward.
package migrations

import "embed"

// FS holds the goose files.
//
//go:embed *.sql
var FS embed.FS
