package ui

// FiguresTexts are the page that counts reports.
type FiguresTexts struct {
	Title     string
	Link      string // from the inbox
	Text      string
	By        string
	Years     string
	Quarters  string
	Empty     string
	Period    string
	Received  string
	Open      string
	Published string
	Rejected  string
	Filed     string
	Median    string
	InTime    string
	Share     string // percent, how many, of how many
	Verdicts  string
	None      string
	Note      string
}

var englishFigures = FiguresTexts{
	Title:     "Figures",
	Link:      "Figures by year",
	Text:      "Reports by the day they came, and what became of them until now.",
	By:        "By year or quarter",
	Years:     "Years",
	Quarters:  "Quarters",
	Empty:     "No report has come yet.",
	Period:    "Came in",
	Received:  "Received",
	Open:      "Open",
	Published: "Published",
	Rejected:  "Rejected",
	Filed:     "Asked to file publicly",
	Median:    "First answer after (median)",
	InTime:    "First answer in time",
	Share:     "%d %% (%d of %d)",
	Verdicts:  "Closed as",
	None:      "none",
	Note:      "Rejected are those whose reporter was told no: not a vulnerability, out of scope, somebody else's, unsupported, spam. Who was asked to file publicly was not rejected. Only cases you may see are counted.",
}
