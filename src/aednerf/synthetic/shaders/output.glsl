// What every fragment writes: tone-mapped colour and which part it belongs to.
layout(location = 0) out vec4 out_colour;
layout(location = 1) out vec4 out_part;

// One part's coverage: 1 head with hair, 2 neck, 3 torso.
vec4 part(int which) { return vec4(which == 1, which == 2, which == 3, 1.0); }
