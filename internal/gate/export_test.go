package gate

// Taken is how many large bodies of JSON are taken apart, and how many bodies
// have a place.
func (g *Gate) Taken() [2]int { return [2]int{len(g.heavy), len(g.uploads.all)} }
