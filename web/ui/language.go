package ui

import "strings"

// languages holds every language pages can speak; English is the fall-back.
var languages = map[string]*Texts{"en": &English}

// Language finds the texts for a BCP 47 tag: the tag itself, else its first
// part, else English.
func Language(tag string) *Texts {
	tag = strings.ToLower(tag)
	if t := languages[tag]; t != nil {
		return t
	}
	base, _, _ := strings.Cut(tag, "-")
	if t := languages[base]; t != nil {
		return t
	}
	return &English
}
