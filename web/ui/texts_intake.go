package ui

// IntakeTexts is what the gate says about what was sent to it: at a field, at
// the top of the page, or in an answer to a program.
type IntakeTexts struct {
	Empty      string // no description
	NoAddress  string
	NotAKey    string
	OwnSecret  string // a private key where a public one belongs
	OwnUnread  string
	Secret     string
	SecretHow  string
	CutShort   string // below a field that the page gives back in part
	PublicKey  string
	Broken     string
	BrokenHow  string
	CutOff     string
	Others     string // encrypted to somebody else
	OthersKey  string
	OldKey     string
	Slow       string
	Over       string
	Paused     string
	Unread     string
	Twice      string // a field, of which both texts are shown
	ManyFiles  string
	TooLarge   string
	TooLong    string
	TooMuch    string // for an answer that has no form
	Down       string
	OverShort  string
	OverTitle  string
	LargeTitle string
	DownTitle  string

	NoCode    string
	CodeLong  string
	CodeCount string
	CodeWord  string
	CodeNear  string
	CodeOr    string
	CodeOrder string

	AddLarge   string
	AddEmpty   string
	CreditLine string
	CreditName string
	CreditWish string
	CreditDone string
	KeyEmpty   string
	KeyDone    string
	Withdraw   string
	Withdrawn  string
}

// SendTexts is what send.js says while it sends a form. In Encrypting and
// Sending come percent, how much is done, and how much there is.
type SendTexts struct {
	Progress        string
	Encrypting      string
	Sending         string
	Waiting         string
	Stop            string
	Stopped         string
	Broken          string
	Doubt           string
	Refused         string
	Again           string
	Anyway          string
	Unread          string
	Large           string
	BrowserFails    string
	BrowserFailed   string
	BrowserMismatch string
}

var englishIntake = IntakeTexts{
	Empty:      "Describe what you found; one sentence is enough.",
	NoAddress:  "This does not look like one mail address. Leave it empty if you do not want mail: the mailbox code is enough.",
	NotAKey:    "This is not a public key. Leave the field empty, or export the key again.",
	OwnSecret:  "This holds a private key. Keep it to yourself, and paste the public one.",
	OwnUnread:  "This is not a public key we can read: %s. Leave the field empty, or export the key again.",
	Secret:     "This holds a private key.",
	CutShort:   "[Cut here: the page does not give back more than this. Attach long text as a file.]",
	SecretHow:  "Nobody but you should have it: take it for lost, revoke it, and make a new one. What you sent was sealed and is shown to nobody; send your report again without the key.",
	PublicKey:  "This is a public key, not a report. Describe what you found here, and put your key into the field for it under “More, if you have it”.",
	Broken:     "This begins like an encrypted message, but it is cut off or damaged.",
	BrokenHow:  "Copy the whole message again, from the BEGIN line to the END line, or write in plain words.",
	CutOff:     "This begins like an encrypted message, but it is cut off. Send the whole of it, from the BEGIN line to the END line.",
	Others:     "This message is encrypted to somebody else, so we could not read it. Encrypt it to our key, or write in plain words.",
	OthersKey:  "This message is encrypted to somebody else, so we could not read it. Encrypt it to our key (%s), or write in plain words.",
	OldKey:     "Your browser encrypted this to a key that is not ours any more. Load the page again and send it once more.",
	Slow:       "From your network a lot came in a short time, so just now each report waits for its turn and at most 1 MiB is taken at once. Send the text first and add files in the mailbox later.",
	Over:       "From your network a lot came in a short time, and the line is full. Nothing was stored. Send it again in a minute, or write a mail.",
	Paused:     "Nothing was stored.",
	Unread:     "The form could not be read to its end. Nothing was stored. Send it again.",
	Twice:      "This came twice, with two texts; both stand here. Nothing was stored. Make one of them and send it again.",
	ManyFiles:  "At most %d files at once; these are more. Nothing was stored, and files have to be chosen again. Pack them into one archive, or add the rest in the mailbox.",
	TooLarge:   "Together this is larger than %s, which is what we take at once. Nothing was stored. Send the report first and add the rest in the mailbox.",
	TooLong:    "One field is longer than a megabyte, or all together than two. Nothing was stored. Attach long text as a file.",
	TooMuch:    "Nothing was stored. Send less, or in parts.",
	Down:       "The database did not answer, or too much came in at once. Nothing was stored. Try again in a moment.",
	OverShort:  "From where you are, a lot came in a short time. Wait a few minutes, or write a mail.",
	OverTitle:  "Too much at once",
	LargeTitle: "That is too large",
	DownTitle:  "Not available just now",

	NoCode:    "This is not a mailbox code.",
	CodeLong:  "This is too long to be a mailbox code. A code is eight words.",
	CodeCount: "A mailbox code has eight words; here are %d.",
	CodeWord:  "Word %d, “%s”, is none of our words.",
	CodeNear:  "Did you mean %s?",
	CodeOr:    " or ",
	CodeOrder: "One of the words is wrong or out of order. Compare them with what you kept.",

	AddLarge:   "Together this is larger than what we take at once. Nothing was stored. Send it in parts.",
	AddEmpty:   "Write what you want to add, or choose a file.",
	CreditLine: "This has to be one line without control or direction signs.",
	CreditName: "Write exactly how you want to be named.",
	CreditWish: "Choose yes, no, or not decided.",
	CreditDone: "Your wish about credit is sent to the team.",
	KeyEmpty:   "Paste your armored public key.",
	KeyDone:    "Your key is sent to the team.",
	Withdraw:   "Tick the box if you want to withdraw the report.",
	Withdrawn:  "The team is told that you withdraw the report.",
}

var englishSend = SendTexts{
	Progress:        "Sending.",
	Encrypting:      "Encrypting in your browser: %s percent.",
	Sending:         "Sending: %s percent, %s of %s. Keep this page open.",
	Waiting:         "All of it is sent. Waiting for the answer.",
	Stop:            "Stop",
	Stopped:         "Stopped. Nothing was stored. What you typed and chose is still here.",
	Broken:          "The connection broke before all of it was sent. Nothing was stored. What you typed and chose is still here.",
	Doubt:           "All of it was sent, but no answer came, so we cannot say whether it was stored. Send it again as it is: it is never stored twice.",
	Refused:         "It was not taken (%s). Nothing was stored. What you typed and chose is still here.",
	Again:           "Send again",
	Anyway:          "Send without that",
	Unread:          "A file could not be read, so nothing was sent. Choose it again.",
	Large:           "Your files are %s together; we take at most %s at once. Send the report first and add the rest in the mailbox.",
	BrowserFails:    "Your browser could not encrypt it. It will be sealed as it arrives instead.",
	BrowserFailed:   "Your browser could not encrypt this report, so nothing was sent. You can send it without that: it is then sealed as it arrives.",
	BrowserMismatch: "The key does not have the fingerprint shown here, so nothing was encrypted or sent. Tell us by mail.",
}
