package ui

// Texts is every text of every page, in one language.
type Texts struct {
	Lang string // BCP 47
}

// English is the first language.
var English = Texts{Lang: "en"}
