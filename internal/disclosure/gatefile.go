package disclosure

import (
	"encoding/json"
	"fmt"
)

// GateFilePath is the one document that no route serves.
const GateFilePath = "gate.json"

// GateFile is what the gate must know of the policy. Everything in it is on
// the public pages as well.
type GateFile struct {
	Format   int     `json:"format"`
	Instance string  `json:"instance"`
	URL      string  `json:"url"`
	Rendered string  `json:"rendered"` // program version
	Policy   *Policy `json:"policy"`
	Notice   string  `json:"notice,omitempty"` // of a pause
}

// Encode writes the file; the bytes depend on the values alone.
func (g GateFile) Encode() ([]byte, error) {
	g.Format = 1
	return json.Marshal(g)
}

// ParseGateFile reads what Encode wrote.
func ParseGateFile(b []byte) (*GateFile, error) {
	var g GateFile
	if err := json.Unmarshal(b, &g); err != nil {
		return nil, fmt.Errorf("read %s: %w", GateFilePath, err)
	}
	if g.Format != 1 || g.Policy == nil {
		return nil, fmt.Errorf("%s has format %d; this program reads 1", GateFilePath, g.Format)
	}
	return &g, nil
}
