#version 330
in vec3 in_position;      // head space (world where to_world is the identity)
in vec3 in_tangent;
in vec3 in_outward;
in float in_half_width;
in vec2 in_tone;          // the strand's own tone; how open
uniform mat4 to_clip;
uniform mat4 to_world;
uniform mat4 to_torso;    // where hair below the chin tends to stay
uniform vec2 stay;        // heights in head space: below the first all torso, above the second all head
uniform vec3 eye_position;
uniform float pixel;      // metres that a sample's pixel spans at 1 m
out vec3 position, tangent, outward;
out float across;
out vec2 tone_open;
void main() {
    float w = smoothstep(stay.x, stay.y, in_position.y);
    mat4 place = to_world * w + to_torso * (1.0 - w);
    position = (place * vec4(in_position, 1.0)).xyz;
    tangent = normalize(mat3(to_world) * in_tangent);
    outward = normalize(mat3(to_world) * in_outward);
    vec3 v = eye_position - position;
    float least = 0.45 * pixel * length(v);
    float half_width = sign(in_half_width) * max(abs(in_half_width), least * step(2e-6, abs(in_half_width)));
    vec3 side = cross(tangent, normalize(v));
    position += side / max(length(side), 0.05) * half_width;
    across = sign(in_half_width);
    tone_open = in_tone;
    gl_Position = to_clip * vec4(position, 1.0);
}
