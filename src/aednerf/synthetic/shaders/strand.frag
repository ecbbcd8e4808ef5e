#version 330
#include common.glsl
in vec3 position, tangent, outward;
in float across;
in vec2 tone_open;
uniform vec3 hair_colour;
uniform float gloss;
uniform float hair_shadow;
void main() {
    vec3 t = normalize(tangent), n = normalize(outward), v = normalize(eye_position - position);
    float open = tone_open.y;
    vec3 albedo = hair_colour * mix(0.62, 1.5, tone_open.x);
    albedo = mix(albedo, albedo * vec3(1.25, 1.05, 0.85), smoothstep(0.8, 1.0, tone_open.x));
    float key = mix(1.0, lit(position, n, 0.0045, 0.012), hair_shadow);
    vec3 colour = albedo * ambient(n) * open * 1.3;
    vec3 shine = vec3(0.0);
    float tv = dot(t, v);
    for (int i = 0; i < 4; i++) {
        vec3 l = light_direction[i];
        float tl = dot(t, l), through = i == 0 ? key : 1.0;
        float nl = clamp((dot(n, l) + 0.35) / 1.35, 0.0, 1.0);
        float diffuse = sqrt(max(1.0 - tl * tl, 0.0)) * nl;
        vec3 c = light_colour[i] * through * open;
        colour += albedo * c * diffuse * 0.75;
        // Two highlights: one off the cuticle, tilted to the root; one through the strand, coloured, tilted to the tip.
        float jitter = (tone_open.x - 0.5) * 0.16;
        float th = tl + tv;
        float first = exp(-pow((th - 0.12 - jitter) / 0.20, 2.0)), second = exp(-pow((th + 0.18 - jitter) / 0.36, 2.0));
        shine += c * nl * (first * 0.045 + second * 1.1 * albedo);
    }
    colour += shine * gloss;
    out_colour = vec4(tone(colour), 1.0);
    out_part = part(1);
}
