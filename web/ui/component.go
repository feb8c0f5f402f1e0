package ui

import "github.com/a-h/templ"

// Component is a page or a piece of one, ready to be rendered. The doors and
// package publish hand it on and need not know how it was made.
type Component = templ.Component
